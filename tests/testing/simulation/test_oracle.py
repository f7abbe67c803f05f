"""The oracle: it knows all there is to know now, and nothing of what comes."""

from __future__ import annotations

import pytest

from meshware.core.endpoint import Locality
from meshware.testing.simulation import ORACLE, Arrival, Scenario, Simulation
from meshware.testing.simulation.events import Events
from meshware.testing.simulation.oracle import expected
from meshware.testing.simulation.replica import Replica


def scenario(**changes):
    return Scenario.model_validate({"begin": 0.0, "duration": 5.0, "rtt": 0.0, "deadline": 3.0, **changes})


def calls(*times, work=1.0):
    return [Arrival(at, 0, "/items", work, 0.5, work) for at in times]


def asked(found, arrivals):
    """How many attempts each replica got."""
    simulation = Simulation(found, strategy=ORACLE, arrivals=arrivals)
    tally = simulation.run()
    return [tally.attempts[each.address] for each in simulation.replicas], tally


def test_it_expects_a_request_to_wait_for_its_turn():
    replica = Replica("10.0.0.1:80", Events(), slots=2, speed=0.5, locality=Locality())
    assert expected(replica, 0.1, 1.0, "/items") == pytest.approx(2.1)
    replica.present = 3
    assert expected(replica, 0.1, 1.0, "/items") == pytest.approx(4.1)
    replica.slower["/items"] = 2.0
    assert expected(replica, 0.1, 1.0, "/items") == pytest.approx(8.1)


def test_each_request_goes_where_it_is_done_first():
    found = scenario(replicas=[{"count": 1, "slots": 1, "speed": 4.0}, {"count": 1, "slots": 1}])
    counts, tally = asked(found, calls(0.0, 0.01, 0.02, 0.03, 0.04))
    assert counts == [4, 1]
    assert tally.lost == 0


def test_equal_ones_share():
    counts, _ = asked(scenario(replicas=[{"count": 4}]), calls(*(number / 1000 for number in range(1000)), work=1e-6))
    assert all(200 < each < 300 for each in counts)


@pytest.mark.parametrize("kind", ["stall", "fail", "silent", "crash", "drain"])
def test_it_sends_nothing_where_no_answer_would_come(kind):
    fault = {"kind": kind, "at": 1.0, "lasts": 2.0, "replicas": [0]}
    counts, tally = asked(scenario(replicas=[{"count": 2}], faults=[fault]), calls(1.5, 2.0, 2.5, work=0.1))
    assert (counts, tally.lost) == ([0, 3], 0)


@pytest.mark.parametrize("kind", ["slow", "gray", "stall", "fail", "silent", "crash", "drain"])
def test_it_sends_again_where_the_fault_is_over(kind):
    fault = {"kind": kind, "at": 1.0, "lasts": 2.0, "replicas": [0]}
    fleet = [{"count": 1, "speed": 2.0}, {"count": 1}]
    counts, tally = asked(scenario(replicas=fleet, faults=[fault]), calls(1.5, 3.5, 4.0, work=0.1))
    assert (counts, tally.lost) == ([2, 1], 0)


def test_where_all_are_drained_it_asks_one_all_the_same():
    counts, _ = asked(scenario(replicas=[{"count": 2}], faults=[{"kind": "drain", "at": 0.0}]), calls(1.0))
    assert sum(counts) == 1


@pytest.mark.parametrize("kind", ["stall", "crash"])
def test_it_does_not_see_a_fault_that_is_to_come(kind):
    fault = {"kind": kind, "at": 1.0, "replicas": [0]}
    fleet = [{"count": 1, "speed": 2.0}, {"count": 1}]
    counts, tally = asked(scenario(replicas=fleet, faults=[fault]), calls(0.9, work=0.5))
    assert (counts, tally.lost) == ([1, 0], 1)


def test_it_does_not_know_how_much_work_a_request_will_be():
    fleet = [{"count": 1, "slots": 1}, {"count": 1, "slots": 1, "speed": 0.4}]
    arrivals = [Arrival(0.0, 0, "/items", 2.0, 0.5, 2.0), *calls(0.1, 0.2, work=0.01)]
    counts, tally = asked(scenario(replicas=fleet), arrivals)
    assert counts == [2, 1]
    assert max(tally.times) == 2.0
    assert sorted(tally.times)[1] > 1.5  # behind the long one, that looked like any other


def test_where_nobody_would_answer_it_loses_the_call():
    fault = {"kind": "silent", "at": 0.0}
    counts, tally = asked(scenario(replicas=[{"count": 2}], faults=[fault]), calls(1.0, 1.5))
    assert (sum(counts), tally.lost) == (2, 2)
    assert list(tally.times) == [3.0, 3.0]
