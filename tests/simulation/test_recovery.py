"""After a trigger has ended all is good again, though the load never drops: no state feeds on itself."""

from __future__ import annotations

import pytest

from meshware.testing.simulation import Scenario, Simulation

TRIGGERS = {
    "all are twenty times slower for 10 s": (
        {"faults": [{"kind": "slow", "factor": 20, "at": 8.0, "lasts": 10.0}]},
        18.0,
    ),
    "all pause for 0.8 s at once": ({"faults": [{"kind": "stall", "at": 8.0, "lasts": 0.8}]}, 8.8),
    "twice as much arrives for 3 s": ({"loads": [{"at": 8.0, "load": 1.4}, {"at": 11.0, "load": 0.7}]}, 11.0),
}


@pytest.mark.parametrize("clients", [8, 1])
@pytest.mark.parametrize("trigger", TRIGGERS)
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
    tally = Simulation(fleet, strategy="adaptive").run()
    assert tally.good_between(end, end + 1) >= 0.8
    assert tally.good_between(end + 2, end + 10) >= 0.99
