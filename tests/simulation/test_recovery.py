"""After a trigger has ended all is good again, though the load never drops: no state feeds on itself."""

from __future__ import annotations

from itertools import product

import pytest
from soaking import some_now

from meshware.testing.simulation import ORACLE, Scenario, Simulation

pytestmark = pytest.mark.untraced

TRIGGERS = {
    "all are twenty times slower for 10 s": (
        {"faults": [{"kind": "slow", "factor": 20, "at": 8.0, "lasts": 10.0}]},
        18.0,
    ),
    "all pause for 0.8 s at once": ({"faults": [{"kind": "stall", "at": 8.0, "lasts": 0.8}]}, 8.8),
    "twice as much arrives for 3 s": ({"loads": [{"at": 8.0, "load": 1.4}, {"at": 11.0, "load": 0.7}]}, 11.0),
}


@pytest.mark.parametrize(
    ("trigger", "clients"), some_now(product(TRIGGERS, [8, 1]), now=zip(TRIGGERS, [1, 8, 8], strict=True))
)
def test_seconds_after_its_end_nearly_every_call_is_good(trigger, clients):
    what, end = TRIGGERS[trigger]
    fleet = Scenario.model_validate(
        {
            "begin": 4.0,
            "duration": end + 10.0,
            "deadline": 3.0,
            "load": 0.7,
            "replicas": [{"count": 10, "slots": 4, "queue": 1.0}],
            "clients": [{"count": clients}],
            "operations": [{"work": 0.02}],
            **what,
        }
    )
    tallies = [Simulation(fleet, strategy="adaptive", seed=seed).run() for seed in (1, 2)]
    assert sum(each.good_between(end, end + 1) for each in tallies) >= 2 * 0.8
    assert all(each.good_between(end + 2, end + 10) >= 0.99 for each in tallies)


def test_where_one_of_twenty_is_late_everywhere_nothing_that_we_do_makes_it_worse():
    fleet = Scenario.model_validate(
        {
            "duration": 10.0,
            "deadline": 3.0,
            "load": 0.35,  # 0.93 with what is late
            "replicas": [{"count": 8, "slots": 4}],
            "clients": [{"count": 1}],
            "operations": [{"work": 0.03}],
            "faults": [{"kind": "gray", "rate": 0.05, "takes": 1.0, "at": 2.0}],
        }
    )
    oracle, ours = [
        [Simulation(fleet, strategy=strategy, seed=seed).run() for seed in range(1, 7)]
        for strategy in (ORACLE, "adaptive")
    ]
    assert in_time(ours) >= 0.97 * in_time(oracle)


def in_time(tallies):
    """The share of calls that take 250 ms at most."""
    times = [seconds for each in tallies for seconds in each.times]
    return sum(seconds <= 0.25 for seconds in times) / len(times)
