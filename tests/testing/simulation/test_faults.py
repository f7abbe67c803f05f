"""The faults of a scenario: each does what it says, from its moment to its end, and to no other replica."""

from __future__ import annotations

import pytest

from meshware.core.endpoint import Locality
from meshware.testing.simulation import Scenario
from meshware.testing.simulation.events import Events
from meshware.testing.simulation.faults import Faults
from meshware.testing.simulation.replica import Replica

ZONES = ("aws/eu/a", "aws/eu/a", "aws/eu/b")


class Operator:
    """Hears of what is taken out by hand."""

    def __init__(self):
        self.out = set()

    def drain(self, address, out):
        (self.out.add if out else self.out.discard)(address)


class World:
    """Three replicas, and one fault from second 2 on, for one second."""

    def __init__(self, **fault):
        self.events, self.operator = Events(), Operator()
        self.replicas = [
            Replica(f"10.0.0.{number}:80", self.events, slots=2, speed=2.0, locality=Locality.parse(zone))
            for number, zone in enumerate(ZONES)
        ]
        written = {"at": 2.0, "lasts": 1.0, "replicas": [1]} | fault
        scenario = Scenario.model_validate(
            {
                "faults": [{key: value for key, value in written.items() if value is not None}],
                "replicas": [{"count": 1, "locality": zone} for zone in ZONES],
            }
        )
        Faults(scenario, self.replicas, self.events, [self.operator])

    def at(self, time, see):
        """What is to be seen of each replica then."""
        self.events.run(time)
        return [see(each) for each in self.replicas]


@pytest.mark.parametrize(
    ("fault", "see", "well", "ill"),
    [
        ({"kind": "slow", "factor": 4}, lambda each: each.speed, 2.0, 0.5),
        ({"kind": "slow", "factor": 4, "path": "/items"}, lambda each: each.slower, {}, {"/items": 4.0}),
        ({"kind": "stall"}, lambda each: each.speed, 2.0, 0.0),
        ({"kind": "fail", "rate": 0.3}, lambda each: each.failing, 0.0, 0.3),
        ({"kind": "silent"}, lambda each: each.silent, False, True),
        ({"kind": "crash"}, lambda each: each.refusing, False, True),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else "",
)
def test_a_fault_begins_and_ends_at_the_replica_that_it_strikes(fault, see, well, ill):
    world = World(**fault)
    seen = [
        [dict(each) if isinstance(each, dict) else each for each in world.at(time, see)] for time in (1.9, 2.1, 3.1)
    ]
    assert seen == [[well] * 3, [well, ill, well], [well] * 3]


def test_what_is_drained_is_taken_out_by_every_client_and_put_back():
    world = World(kind="drain")
    seen = []
    for time in (1.9, 2.1, 3.1):
        world.events.run(time)
        seen.append(set(world.operator.out))
    assert seen == [set(), {"10.0.0.1:80"}, set()]


def test_what_has_crashed_comes_back_cold():
    world = World(kind="crash", cold=0.5, factor=4)
    assert [world.at(time, lambda each: each.speed)[1] for time in (2.5, 3.2, 3.6)] == [2.0, 0.5, 2.0]


@pytest.mark.parametrize(
    ("where", "struck"),
    [
        ({"locality": "aws/eu/a", "replicas": None}, [True, True, False]),
        ({"locality": "aws/eu", "replicas": None}, [True, True, True]),
        ({"replicas": None}, [True, True, True]),
        ({"replicas": [0, 2]}, [True, False, True]),
    ],
)
def test_it_strikes_by_number_or_by_locality_or_all(where, struck):
    assert World(kind="silent", **where).at(2.5, lambda each: each.silent) == struck


def test_it_comes_again_as_often_as_it_says_while_requests_arrive():
    world = World(kind="silent", every=4.0)
    seen = {time: world.at(time, lambda each: each.silent)[1] for time in (2.5, 3.5, 6.5, 7.5, 10.5, 11.5, 14.5)}
    assert seen == {2.5: True, 3.5: False, 6.5: True, 7.5: False, 10.5: True, 11.5: False, 14.5: False}
