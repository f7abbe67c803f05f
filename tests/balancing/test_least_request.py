"""Least request: choices, bias and full scan."""

from __future__ import annotations

from collections import Counter

import pytest
from world import World

from meshware.core.endpoint import Endpoint
from meshware.testing import check_strategy


def fleet(*weights, **options):
    world = World(1, strategy={"least_request": options})
    endpoints = [Endpoint(f"10.0.{number}.1:80", weight=weight) for number, weight in enumerate(weights)]
    world.service.replace(endpoints, world.now)
    return world


def pick(world):
    return world.endpoints.index(world.service.picker.pick(world.call()))


def loads(world, count):
    """What each endpoint has in flight after so many picks, of which none has ended."""
    for _ in range(count):
        world.endpoints[pick(world)].open[object()] = world.now
    return [endpoint.load for endpoint in world.endpoints]


@pytest.mark.parametrize("options", [{}, {"choices": 3}, {"active_request_bias": 2.0}])
def test_idle_endpoints_get_shares_by_weight(options):
    world = fleet(1, 2, 5, **options)
    seen = Counter(pick(world) for _ in range(10_000))
    assert [seen[number] for number in range(3)] == pytest.approx([1250, 2500, 6250], abs=250)


@pytest.mark.parametrize(("bias", "ratio"), [(1.0, 4.0), (2.0, 2.0), (0.5, 16.0)])
def test_the_bias_says_how_much_the_load_counts_beside_the_weight(bias, ratio):
    light, heavy = loads(fleet(1, 4, active_request_bias=bias), 1700)
    assert heavy / light == pytest.approx(ratio, rel=0.1)


def test_more_choices_find_the_idle_one_more_often():
    found = {}
    for choices in (2, 4, 8):
        world = fleet(*[1] * 8, choices=choices)
        for endpoint in world.endpoints[1:]:
            endpoint.open[object()] = world.now
        found[choices] = sum(pick(world) == 0 for _ in range(10_000))
    assert found[2] == pytest.approx(2500, abs=250)
    assert found[4] == pytest.approx(5000, abs=250)
    assert found[8] == 10_000


def test_a_full_scan_finds_the_least_of_all():
    assert loads(fleet(*[1] * 50, full_scan=True), 150) == [3] * 50


def test_ties_of_a_full_scan_are_broken_by_lot():
    world = fleet(*[1] * 5, full_scan=True)
    world.endpoints[0].open[object()] = world.now
    seen = Counter(pick(world) for _ in range(10_000))
    assert [seen[number] for number in range(5)] == [0, *[pytest.approx(2500, abs=250)] * 4]


@pytest.mark.parametrize("options", [{}, {"choices": 5}, {"active_request_bias": 0.5}, {"full_scan": True}])
def test_fit_for_use(options):
    check_strategy({"least_request": options})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"choices": 1}, "choices must be a whole number from 2 on, not 1"),
        ({"active_request_bias": 0}, r"active_request_bias must be a number above 0 .*not 0 \(0 in Envoy: round_robin"),
        ({"active_request_bias": float("nan")}, "active_request_bias must be a number above 0 and at most 10, not nan"),
        ({"active_request_bias": True}, "active_request_bias must be a number"),
        ({"active_request_bias": "1"}, "active_request_bias must be a number"),
        ({"full_scan": 1}, "full_scan must be true or false, not 1"),
    ],
)
def test_bad_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        World(2, strategy={"least_request": options})
