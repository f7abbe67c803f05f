"""Eight workers of one host, simulated: what they tell each other makes them as good as one that has all calls."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache

import pytest
from simulation.contest import geometric_mean
from soaking import some_now

from meshware.housekeeper import SWEEP
from meshware.sharing.board import Board
from meshware.sharing.layout import CELLS, SERVED, start_of
from meshware.sharing.membership import Membership
from meshware.testing.simulation import Scenario, Simulation

pytestmark = pytest.mark.untraced

FLEETS = {
    "equal ones at 90 %": {"load": 0.9, "replicas": [{"count": 8, "slots": 4}]},
    "capacities as 1 to 2 to 4": {
        "load": 0.7,
        "replicas": [
            {"count": 3, "slots": 4, "speed": 0.5},
            {"count": 3, "slots": 4, "speed": 1.0},
            {"count": 2, "slots": 4, "speed": 2.0},
        ],
    },
}


class Gate:
    """Rows that one process may have all of: what is locked there are rows of a file, by processes."""

    @contextmanager
    def gate(self):
        yield True


class Seat(Membership):
    """A row on a board that is no file."""

    def __init__(self, cells, row):
        self.ints, self.floats = (memoryview(cells).cast(kind) for kind in "qd")
        self.row, self.high, self.rows, self.counts = row, 8, Gate(), self
        self.ints[start_of("pid") + row] = 1 + row

    def add(self, slot, answers):
        """Nobody asks for counts here."""

    def check(self):
        """Nobody else writes here."""

    def bury(self, now):
        """Nobody dies here."""
        return False


class Idle:
    """A worker that serves nothing."""

    others = (0.0,) * len(SERVED)

    def own(self, now):
        return self.others


class Host:
    """The board of the clients of one simulation."""

    def __init__(self, simulation):
        cells = bytearray(8 * CELLS)
        for row, client in enumerate(simulation.clients):
            board = self._board(client, simulation.events)
            board._member = Seat(cells, row)
            simulation.events.at(row * SWEEP / len(simulation.clients), self._sweep, board, simulation.events)

    def _board(self, client, events):
        return Board(
            service="simulated",
            environment="",
            fingerprint=str,
            chosen=None,
            services=client.mesh.services.values,
            shifts=tuple,
            serves=Idle(),
            emit=pytest.fail,
        )

    def _sweep(self, board, events):
        board.sweep(events.now)
        events.at(events.now + SWEEP, self._sweep, board, events)


@cache
def p99(name, seed, clients, *, shared=False):
    fleet = Scenario.model_validate(
        {"duration": 12.0, "deadline": 3.0, "operations": [{"work": 0.03}], "clients": [{"count": clients}]}
        | FLEETS[name]
    )
    simulation = Simulation(fleet, seed=seed)
    if shared:
        Host(simulation)
    return simulation.run().quantile(0.99)


def over_one(name, seeds, *, shared):
    """The p99 of eight workers over that of one."""
    return geometric_mean(p99(name, seed, 8, shared=shared) / p99(name, seed, 1) for seed in seeds)


@pytest.mark.parametrize("name", some_now(FLEETS, now=["capacities as 1 to 2 to 4"]))
def test_eight_workers_are_nearly_as_good_as_one_and_better_than_each_alone(name):
    together, alone = (over_one(name, (1, 2), shared=shared) for shared in (True, False))
    assert together <= 1.1
    assert together < alone


@pytest.mark.soak
def test_over_fleets_eight_workers_are_as_good_as_one():
    assert geometric_mean(over_one(name, range(1, 11), shared=True) for name in FLEETS) <= 1.05
