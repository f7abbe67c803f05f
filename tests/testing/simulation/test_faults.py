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


class Counted(Events):
    """Knows how much has been planned."""

    planned = 0

    def at(self, time, deed, *facts):
        self.planned += 1
        super().at(time, deed, *facts)


class World:
    """Three replicas, and one fault from second 2 on, for one second; or more."""

    def __init__(self, *others, duration=12.0, **fault):
        self.events, self.operator = Counted(), Operator()
        self.replicas = [
            Replica(f"10.0.0.{number}:80", self.events, slots=2, speed=2.0, locality=Locality.parse(zone))
            for number, zone in enumerate(ZONES)
        ]
        written = [{"at": 2.0, "lasts": 1.0, "replicas": [1]} | each for each in (fault, *others)]
        scenario = Scenario.model_validate(
            {
                "duration": duration,
                "faults": [{key: value for key, value in each.items() if value is not None} for each in written],
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
        ({"kind": "gray", "rate": 0.05, "takes": 2.0}, lambda each: each.gray, (0.0, 0.0), (0.05, 2.0)),
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


@pytest.mark.parametrize(
    ("one", "other", "see", "seen"),
    [
        ({"kind": "slow", "factor": 4}, {"kind": "slow", "factor": 2}, lambda each: each.speed, [0.5, 0.25, 0.5, 2.0]),
        ({"kind": "slow", "factor": 4}, {"kind": "stall"}, lambda each: each.speed, [0.5, 0.0, 0.5, 2.0]),
        ({"kind": "stall"}, {"kind": "slow", "factor": 4}, lambda each: each.speed, [0.0, 0.0, 0.0, 2.0]),
        (
            {"kind": "slow", "factor": 4, "path": "/items"},
            {"kind": "slow", "factor": 2, "path": "/items"},
            lambda each: each.slower.get("/items", 1.0),
            [4.0, 8.0, 4.0, 1.0],
        ),
        ({"kind": "fail", "rate": 0.5}, {"kind": "fail", "rate": 0.2}, lambda each: each.failing, [0.5, 0.6, 0.5, 0.0]),
        ({"kind": "fail"}, {"kind": "fail", "rate": 0.1}, lambda each: each.failing, [1.0, 1.0, 1.0, 0.0]),
        ({"kind": "gray", "rate": 0.1}, {"kind": "gray"}, lambda each: each.gray.share, [0.1, 1.0, 0.1, 0.0]),
        ({"kind": "silent"}, {"kind": "silent"}, lambda each: each.silent, [True, True, True, False]),
        ({"kind": "crash"}, {"kind": "crash"}, lambda each: each.refusing, [True, True, True, False]),
    ],
    ids=lambda value: value.get("kind") if isinstance(value, dict) else "",
)
def test_faults_that_overlap_add_up_and_the_end_of_one_cures_no_other(one, other, see, seen):
    world = World(other | {"at": 3.0}, **one, lasts=4.0)
    assert [world.at(time, see)[1] for time in (2.5, 3.5, 4.5, 6.5)] == pytest.approx(seen)
    assert world.at(6.5, see)[0] == seen[-1]


def test_what_two_faults_have_drained_is_put_back_with_the_end_of_the_last():
    world = World({"kind": "drain", "at": 2.5}, kind="drain")
    seen = []
    for time in (2.2, 3.2, 3.6):
        world.events.run(time)
        seen.append(set(world.operator.out))
    assert seen == [{"10.0.0.1:80"}, {"10.0.0.1:80"}, set()]


def test_what_crashes_again_while_it_is_cold_is_as_cold_when_it_is_back_and_for_as_long():
    world = World(kind="crash", cold=2.5, factor=4, every=2.0, duration=5.0)
    seen = {time: world.at(time, lambda each: each.speed)[1] for time in (3.2, 5.2, 5.7, 7.4, 7.6)}
    assert seen == {3.2: 0.5, 5.2: 0.5, 5.7: 0.5, 7.4: 0.5, 7.6: 2.0}


def test_a_fault_whose_next_time_begins_with_its_end_never_leaves():
    world = World(kind="slow", factor=4, every=1.0)
    assert [world.at(time, lambda each: each.speed)[1] for time in (2.5, 3.0, 3.5, 11.5, 12.5)] == [0.5] * 4 + [2.0]


def test_of_a_fault_that_comes_again_and_again_only_the_next_time_is_planned():
    world = World(kind="fail", lasts=0.01, every=0.01, duration=1000.0)
    assert world.events.planned <= 2
