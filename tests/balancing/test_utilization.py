"""Utilisation: shares by what endpoints report, from when, for how long, and never absurd."""

from __future__ import annotations

from collections import Counter

import pytest
from measuring import fill
from world import World

from meshware.balancing.utilization import Utilization
from meshware.core.outcome import LoadReport, Outcome
from meshware.testing import check_strategy


def reporting(world, *reports, seconds=12):
    """Each endpoint has reported the same every second for so long; None: never."""
    for _ in range(seconds):
        world.now += 1.0
        for endpoint, report in zip(world.endpoints, reports, strict=True):
            endpoint.sample(0.01, False, Outcome(elapsed=0.01, status=200, report=report), world.now)
    return world


def shares(world, count=10_000):
    """Picks by the endpoint's number from 1, without calls that would be in flight."""
    call = world.call()
    call.now = world.now
    picks = Counter(world.service.picker.pick(call) for _ in range(count))
    return [picks[each] for each in world.endpoints]


def world_of(endpoints=3, **options):
    return World(endpoints, strategy={"utilization": options})


def test_shares_are_what_each_could_do():
    # rps / utilisation: 200, 400, 100
    world = reporting(world_of(), LoadReport(0.5, 100), LoadReport(0.25, 100), LoadReport(1.0, 100))
    assert shares(world, 7000) == pytest.approx([2000, 4000, 1000], abs=10)


def test_a_turn_never_takes_long_to_come():
    world = reporting(world_of(2), LoadReport(0.25, 100), LoadReport(0.75, 100))
    call = world.call()
    call.now = world.now
    row = "".join(world.service.picker.pick(call).address[-4] for _ in range(400))
    assert "22" not in row
    assert "11111" not in row


def test_failures_count_as_utilisation():
    # 100 / 0.5 = 200 beside 100 / (0.5 + 50 / 100 * 3) = 50
    world = reporting(world_of(2, error_penalty=3), LoadReport(0.5, 100), LoadReport(0.5, 100, 50))
    assert shares(world) == pytest.approx([8000, 2000], abs=10)


def test_reports_count_only_after_ten_seconds_of_them():
    world = reporting(world_of(2), LoadReport(0.1, 100), LoadReport(0.9, 100), seconds=10)
    assert shares(world) == pytest.approx([5000, 5000], abs=10)
    reporting(world, LoadReport(0.1, 100), LoadReport(0.9, 100), seconds=2)
    assert shares(world) == pytest.approx([9000, 1000], abs=10)


def test_a_report_expires_after_three_minutes():
    world = reporting(world_of(2), LoadReport(0.1, 100), LoadReport(0.9, 100))
    world.now += 179.0
    assert shares(world)[0] > 8000
    world.now += 1.0
    assert shares(world) == pytest.approx([5000, 5000], abs=10)


def test_weights_are_looked_at_once_a_second():
    world = reporting(world_of(2), LoadReport(0.1, 100), LoadReport(0.9, 100))
    shares(world)
    for endpoint, used in zip(world.endpoints, (0.9, 0.1), strict=True):
        outcome = Outcome(elapsed=0.01, status=200, report=LoadReport(used, 100))
        for _ in range(1000):
            endpoint.sample(0.01, False, outcome, world.now)
    world.now += 0.9
    assert shares(world)[0] > 8000
    world.now += 0.2
    assert shares(world)[0] < 2000


def test_one_report_that_jumps_moves_little():
    world = reporting(world_of(2), LoadReport(0.5, 100), LoadReport(0.5, 100))
    world.endpoints[0].sample(0.01, False, Outcome(elapsed=0.01, status=200, report=LoadReport(0.0, 100)), world.now)
    world.now += 1.0
    assert shares(world)[0] == pytest.approx(5500, abs=200)


def test_who_does_not_report_gets_the_mean():
    # 400, 200 and their mean of 300
    world = reporting(world_of(), LoadReport(0.25, 100), LoadReport(0.5, 100), None)
    assert shares(world, 9000) == pytest.approx([4000, 2000, 3000], abs=10)


@pytest.mark.parametrize("report", [None, LoadReport(0.0, 100), LoadReport(0.5, 0)], ids=str)
def test_one_weight_alone_is_none(report):
    world = reporting(world_of(), LoadReport(0.01, 100), report, report)
    assert shares(world, 9000) == pytest.approx([3000] * 3, abs=10)


def test_no_report_makes_an_endpoint_everything():
    # it says 1,000,000 / 0.001, beside 100 of each of the 39 others: at most ten times the median counts
    world = reporting(world_of(40), LoadReport(0.001, 1_000_000), *[LoadReport(1.0, 100)] * 39)
    assert shares(world, 4900)[0] == pytest.approx(1000, abs=10)


def test_no_report_makes_an_endpoint_nothing():
    world = reporting(world_of(3), LoadReport(1000.0, 0.001), *[LoadReport(1.0, 100)] * 2)
    assert shares(world, 20_100)[0] == pytest.approx(100, abs=5)


@pytest.mark.parametrize(
    "absurd",
    [LoadReport(-1.0, 100), LoadReport(float("nan"), 100), LoadReport(float("inf"), 100), LoadReport(0.5, 1e300)],
    ids=str,
)
def test_absurd_reports_leave_even_picks(absurd):
    world = world_of(2)
    for _ in range(15):
        world.now += 1.0
        for endpoint in world.endpoints:
            with pytest.raises(ValueError, match="load report refused"):
                endpoint.sample(0.01, False, Outcome(elapsed=0.01, status=200, report=absurd), world.now)
    assert shares(world) == pytest.approx([5000, 5000], abs=10)


def test_the_weight_of_the_settings_counts_beside_the_reports():
    world = world_of(2)
    world.endpoints[0].weigh(3.0)
    world.service.refresh(world.now)
    assert shares(world, 8000) == pytest.approx([6000, 2000], abs=10)
    reporting(world, LoadReport(0.9, 100), LoadReport(0.3, 100))
    assert shares(world, 8000) == pytest.approx([4000, 4000], abs=10)


def test_under_the_guard_it_is_plain_least_request():
    world = reporting(world_of(2), LoadReport(0.1, 100), LoadReport(0.9, 100))
    world.service.guard.on = True
    assert fill(world, 100) == [50, 50]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"error_penalty": -1}, "error_penalty must be a finite number of at least 0, not -1"),
        ({"blackout": float("nan")}, "blackout must be a finite number of at least 0, not nan"),
        ({"blackout": "10"}, "blackout must be a finite number of at least 0, not '10'"),
        ({"expiry": 0}, "expiry must be a positive number of seconds, not 0"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Utilization(**options)


def test_it_is_fit_for_use():
    check_strategy("utilization")
    check_strategy({"utilization": {"blackout": 0}})
