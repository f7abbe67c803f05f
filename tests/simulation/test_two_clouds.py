"""Two clouds 30 ms apart, 6 + 6 endpoints, the callers in one of them: what crosses, and when (issue 4)."""

from __future__ import annotations

import pytest

from meshware.core.events import LocalityTurned
from meshware.testing.simulation import Simulation, built_in
from meshware.testing.simulation.scenario import Clients, Fault

pytestmark = pytest.mark.untraced

HALF, WHOLE = (0, 1, 2), range(6)
BEGINS = 5.0


def fault(kind, replicas, **facts):
    return Fault(kind=kind, replicas=tuple(replicas), at=BEGINS, **facts)


class Run:
    """One run; `load` is of the whole local cloud. Events are those of each client."""

    def __init__(self, load, *faults, until=25.0, strategy="adaptive", seed=1, clients=8):
        scenario = built_in("two_clouds").model_copy(
            update={
                "load": load / 2,
                "faults": faults,
                "begin": BEGINS if faults else 2.0,
                "duration": until,
                "clients": (Clients(count=clients, locality="aws/eu-west-1/a"),),
            }
        )
        simulation = Simulation(scenario, strategy=strategy, seed=seed)
        self.until = until
        self.events = [[] for _ in simulation.clients]
        for client, events in zip(simulation.clients, self.events, strict=True):
            client.service.strategy._emit = events.append
        self.local = {each.address for each in simulation.replicas[:6]}
        self.tally = simulation.run()

    def crossing(self, start=BEGINS, end=None):
        """The share of the attempts that went to the other cloud then."""
        end = self.until if end is None else end
        near = far = 0
        for number, part in self.tally.slices.items():
            if start <= number * 0.1 + 0.05 < end:
                here = sum(count for address, count in part.asked.items() if address in self.local)
                near, far = near + here, far + part.asked.total() - here
        return far / (near + far)

    def turns(self):
        """The most that any client turned."""
        assert all(isinstance(each, LocalityTurned) for events in self.events for each in events)
        return max(map(len, self.events))


def deficit(load, left=0.5):
    """The share of the calls that what is left of the local cloud cannot do."""
    return max(0.0, 1 - left / load)


STRATEGIES = ["adaptive", "peak_ewma", "least_request", "round_robin", "response_time"]


@pytest.mark.parametrize("load", [0.6, 0.8])
def test_while_all_is_whole_nothing_crosses(load):
    run = Run(load, until=8.0)
    assert run.crossing(2.0) <= 0.01
    assert run.turns() == 0


@pytest.mark.parametrize("load", [0.6, 0.8])
def test_half_gone_the_deficit_crosses_and_little_more(load):
    run = Run(load, fault("drain", HALF), until=20.0)
    assert deficit(load) * 0.95 <= run.crossing() <= 1.3 * deficit(load)
    assert run.tally.lost == 0
    assert run.turns() == 1


def test_half_gone_of_what_was_not_needed_nothing_keeps_crossing():
    run = Run(0.45, fault("drain", HALF), until=18.0)
    assert run.crossing(BEGINS + 4) <= 0.01


def test_local_gone_next_to_nothing_is_lost_and_all_is_back_within_15_seconds():
    run = Run(0.6, fault("crash", WHOLE, lasts=8.0), until=BEGINS + 8.0 + 18.0)
    assert run.tally.lost_share <= 0.003
    assert run.crossing(BEGINS + 1, BEGINS + 8) == 1.0
    assert run.crossing(BEGINS + 8 + 15) <= 0.01
    assert run.turns() <= 2


@pytest.mark.parametrize(
    "flapping",
    [fault("drain", HALF, lasts=1.0, every=2.0), fault("crash", HALF, lasts=0.5, every=1.0)],
    ids=["drained", "crashed"],
)
def test_local_health_that_flaps_is_not_followed(flapping):
    run = Run(0.6, flapping, until=20.0)
    assert run.turns() <= 2
    assert run.tally.lost_share <= 0.003


@pytest.mark.soak
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", [101, 102, 103])
@pytest.mark.parametrize("load", [0.6, 0.7, 0.8])
def test_the_deficit_and_little_more_crosses_with_every_strategy(strategy, seed, load):
    run = Run(load, fault("drain", HALF), until=65.0, strategy=strategy, seed=seed)
    assert deficit(load) * 0.95 <= run.crossing() <= 1.3 * deficit(load)
    assert run.turns() <= 2


@pytest.mark.soak
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", [101, 102, 103])
def test_whole_gone_and_flapping_with_every_strategy(strategy, seed):
    whole = Run(0.8, until=30.0, strategy=strategy, seed=seed)
    assert whole.crossing(2.0) <= 0.01
    gone = Run(0.6, fault("crash", WHOLE, lasts=10.0), until=35.0, strategy=strategy, seed=seed)
    assert gone.tally.lost_share <= 0.003
    assert gone.crossing(BEGINS + 10 + 15) <= 0.01
    flapping = Run(0.6, fault("drain", HALF, lasts=1.0, every=2.0), until=45.0, strategy=strategy, seed=seed)
    assert max(gone.turns(), flapping.turns()) <= 2
