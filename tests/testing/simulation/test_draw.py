"""Random scenarios: the same for the same seed, all kinds of them, and none that cannot be borne."""

from __future__ import annotations

from collections import Counter

import pytest

from meshware.testing.simulation import ORACLE, Simulation, drawn, workload
from meshware.testing.simulation.draw import KINDS

MANY = [drawn(seed) for seed in range(300)]


def test_the_same_seed_draws_the_same_and_another_draws_another():
    assert drawn(17) == drawn(17) != drawn(18)
    assert drawn(17).name == "drawn-17"


def test_fleets_and_clients_and_operations_are_of_all_sizes():
    sizes = {sum(each.count for each in scenario.replicas) for scenario in MANY}
    assert sizes == set(range(4, 31))
    assert {each.replicas[0].slots for each in MANY} == set(range(1, 9))
    assert {each.clients[0].count for each in MANY} == set(range(1, 17))
    assert {len(each.operations) for each in MANY} == {1, 2, 3}
    alike = sum(len(each.replicas) == 1 for each in MANY)
    assert 100 < alike < 200


def test_faults_are_of_every_kind_and_leave_time_and_replicas():
    kinds = Counter(fault.kind for scenario in MANY for fault in scenario.faults)
    assert set(kinds) == set(KINDS)
    assert {len(scenario.faults) for scenario in MANY} == {0, 1, 2}
    for scenario in MANY:
        struck = [number for fault in scenario.faults for number in fault.replicas]
        assert len(struck) == len(set(struck)) < 10
        assert all(scenario.begin <= fault.at < fault.at + fault.lasts < scenario.duration for fault in scenario.faults)


def test_what_is_never_struck_is_half_loaded_at_least_and_never_full():
    for scenario in MANY:
        struck = {number for fault in scenario.faults for number in fault.replicas}
        left = sum(each.slots * each.speed for number, each in enumerate(scenario.members()) if number not in struck)
        assert 0.49 < scenario.load * scenario.capacity / left < 0.86


def test_a_run_has_requests_enough_and_not_too_many():
    assert all(29_000 < each.requests < 121_000 for each in MANY)


@pytest.mark.parametrize("seed", range(3))
def test_the_oracle_loses_next_to_nothing(seed):
    scenario = drawn(seed)
    arrivals = workload(scenario, 1)[::20]
    assert Simulation(scenario, strategy=ORACLE, arrivals=arrivals).run().lost_share <= 0.001


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100))
def test_the_oracle_loses_next_to_nothing_at_full_load(seed):
    assert Simulation(drawn(seed), strategy=ORACLE).run().lost_share <= 0.001
