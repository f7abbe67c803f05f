"""What arrives: as much as the scenario says, as it says, and the same for the same seed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from meshware.testing.simulation import Scenario, workload


def scenario(**changes):
    return Scenario.model_validate({"duration": 20.0, **changes})


def test_the_same_seed_draws_the_same():
    assert workload(scenario(), 3) == workload(scenario(), 3) != workload(scenario(), 4)


def test_as_much_work_arrives_as_the_load_says():
    arrivals = workload(scenario(load=0.5), 1)
    assert sum(each.work for each in arrivals) / 20 == pytest.approx(0.5 * 40, rel=0.03)
    assert all(one.at <= other.at < 20 for one, other in pairwise(arrivals))


def test_operations_and_clients_come_as_often_as_their_shares_say():
    found = scenario(
        clients=[{"count": 2, "share": 1}, {"count": 1, "share": 2}],
        operations=[{"path": "/a", "share": 3}, {"path": "/b", "work": 0.02, "spread": "fixed"}],
    )
    arrivals = workload(found, 1)
    clients, operations = (Counter(getattr(each, field) for each in arrivals) for field in ("client", "operation"))
    assert [clients[number] / len(arrivals) for number in range(3)] == pytest.approx([0.25, 0.25, 0.5], abs=0.01)
    assert operations["/a"] / len(arrivals) == pytest.approx(0.75, abs=0.01)
    assert {each.work for each in arrivals if each.operation == "/b"} == {0.02}


def test_work_with_a_heavy_tail_has_its_mean():
    arrivals = workload(scenario(operations=[{"spread": "lognormal", "sigma": 1.0}]), 1)
    assert sum(each.work for each in arrivals) / len(arrivals) == pytest.approx(0.01, rel=0.03)
    assert max(each.work for each in arrivals) > 0.2


def test_loads_hold_from_their_moment_and_bursts_come_and_go():
    found = scenario(load=0.4, loads=[{"at": 10, "load": 0.8}])
    early = sum(each.at < 10 for each in workload(found, 1))
    late = sum(each.at >= 10 for each in workload(found, 1))
    assert late / early == pytest.approx(2.0, rel=0.05)
    found = scenario(load=0.4, bursts={"load": 1.2, "every": 2, "lasts": 0.5})
    within = sum(each.at % 2 < 0.5 for each in workload(found, 1))
    assert within / len(workload(found, 1)) == pytest.approx(0.5, abs=0.02)


def test_no_load_is_nothing():
    assert workload(scenario(load=0.0), 1) == []
