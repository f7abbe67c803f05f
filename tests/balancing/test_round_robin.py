"""Round robin in turn and by earliest deadline: exact shares, spread out, from a random start, on any thread."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from world import World

from meshware.core.endpoint import Endpoint
from meshware.testing import check_strategy


def weighted(*weights, seed=1):
    world = World(1, strategy="weighted_round_robin", seed=seed)
    fleet = [Endpoint(f"10.0.{number}.1:80", weight=weight) for number, weight in enumerate(weights)]
    world.service.replace(fleet, world.now)
    return world


def row(world, count):
    """The numbers of the endpoints of so many picks."""
    return [world.endpoints.index(world.service.picker.pick(world.call())) for _ in range(count)]


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5), (0.3, 0.7), (1, 1000), (7, 3, 11, 2, 2.5)])
def test_after_any_number_of_picks_each_endpoint_is_within_two_of_its_share(weights):
    picked, seen = row(weighted(*weights), 10_000), Counter()
    for done, number in enumerate(picked, 1):
        seen[number] += 1
        assert abs(seen[number] - done * weights[number] / sum(weights)) < 2
    assert len(seen) == len(weights)


def test_turns_of_a_heavy_endpoint_are_spread_out():
    picked = row(weighted(5, 1, 1, 1, 1, 1), 1000)
    heavy = [place for place, number in enumerate(picked) if number == 0]
    assert max(later - sooner for sooner, later in pairwise(heavy)) <= 4


def test_weighted_workers_do_not_go_in_step():
    seen = Counter(row(weighted(1, 2, 3, 4, seed=seed), 1)[0] for seed in range(200))
    assert len(seen) == 4
    assert max(seen.values()) < 140


def test_a_large_fleet_keeps_its_weights():
    picked = Counter(row(weighted(*[1, 3] * 1000), 8000))
    assert {picked[number] for number in range(0, 2000, 2)} <= {1, 2, 3}
    assert sum(picked[number] for number in range(1, 2000, 2)) == pytest.approx(6000, abs=30)


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 2, 5)])
def test_threads_share_one_row(weights):
    world = weighted(*weights)
    with ThreadPoolExecutor(8) as pool:
        seen = Counter(number for picked in pool.map(lambda _: row(world, 1000), range(8)) for number in picked)
    for number, weight in enumerate(weights):
        assert abs(seen[number] - 8000 * weight / sum(weights)) <= 8


@pytest.mark.parametrize("strategy", ["round_robin", "weighted_round_robin"])
def test_fit_for_use(strategy):
    check_strategy(strategy)


def test_there_is_nothing_to_set():
    with pytest.raises(ValueError, match="round_robin takes no options, not 'cycle'"):
        World(2, strategy={"round_robin": {"cycle": 3}})
