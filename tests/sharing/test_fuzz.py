"""A board full of nonsense: a worker goes on alone, and no call of its fails."""

from __future__ import annotations

import random
import struct

import pytest
from sharing.conftest import swept

from meshware.sharing.answers import Pending
from meshware.sharing.layout import CELLS

pytestmark = pytest.mark.untraced

A, B, C = (f"10.0.0.{number}:80" for number in (1, 2, 3))
START = 1000.0


def nonsense(chance: random.Random, file) -> None:
    """Some cells, or all of them, get values that nobody has written."""
    cell = chance.randrange(CELLS) if chance.random() < 0.9 else chance.randrange(16)
    count = chance.choice((1, 8, 64, 4096, CELLS))
    kinds = (
        lambda: chance.randbytes(8),
        lambda: struct.pack("d", chance.choice((float("nan"), float("inf"), -1e300, 1e300, -1.0, 5.5, 1e-320))),
        lambda: struct.pack("q", chance.choice((-1, 2**62, 0, 1))),
    )
    make = chance.choice(kinds)
    file.seek(8 * cell)
    file.write(b"".join(make() for _ in range(min(count, CELLS - cell))))
    file.flush()


@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(each, marks=pytest.mark.soak) for each in range(4, 104))])
def test_no_worker_fails_whatever_is_written_there(hire, directory, seed):
    chance = random.Random(seed)
    workers = hire(2)
    now = swept(workers, START)
    (board,) = (each for each in directory.rglob("shop*") if not each.name.endswith(".counts"))

    with board.open("r+b") as file:
        for turn in range(40):
            if chance.random() < 0.5:
                nonsense(chance, file)
            for each in workers:
                each.answers(address=chance.choice((A, B, C)), now=now, count=3, elapsed=chance.uniform(0.001, 0.1))
                each.shifted(now=now)
                if not turn % 4:  # of more than so few answers a second allow some are refused, with reason
                    each.hold(address=chance.choice((A, B, C)), now=now)
                each.sweep(now=now)
            now += chance.choice((0.02, 0.02, 1.5))

    for each in workers:
        each.drop(now=now)
        state = each.state(now=now)
        assert sum(line.startswith("BoardLost") for line in state["events"]) <= 1
        assert not [line for line in state["events"] if line.startswith("PluginFailed")], state["events"]
        if not state["shared"]:
            assert state["load"] == {A: 0, B: 0, C: 0}
        assert all(0 < cost < 1e6 for cost in state["cost"].values()), state["cost"]


def test_a_pick_among_cells_of_nonsense_is_one_of_the_endpoints():
    from world import World

    world = World(3, strategy="adaptive")
    for value in (float("nan"), float("inf"), -1e300, 1e300):
        for each in world.endpoints:
            each.share([value], [value], Pending())
        world.service.change()
        world.keep_house()
        assert sum(world.picks(20).values()) == 20
        assert {each.load for each in world.endpoints} == {0}
