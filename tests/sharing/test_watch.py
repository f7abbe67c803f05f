"""The guard of a shift judges by what all workers of a host see, each a real process with a real board between them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from sharing.conftest import swept

from meshware.sharing.cells import Unusable, looked_at
from meshware.sharing.directory import identity
from meshware.sharing.layout import CELLS, WORKERS, start_of, table
from meshware.sharing.watch import Watch, counted, mend

START = 1000.0


def states(workers, now):
    return [each.stands(now=now)["state"] for each in workers]


def counts(worker, now):
    stands = worker.stands(now=now)
    return stands["calls"], stands["failed"], stands["slow"]


def test_workers_that_each_see_too_few_calls_to_judge_take_the_shift_back_together(hire):
    workers = hire(4)
    now = swept(workers, START)
    for each in workers:
        each.shifted(now=now, count=5)
        each.shifted(now=now, failed=True)
    assert states(workers, now) == ["running"] * 4

    now = swept(workers, now)

    assert states(workers, now) == ["reverted"] * 4


def test_calls_that_are_slow_for_each_once_are_slow_for_the_host(hire):
    workers = hire(2)
    now = swept(workers, START)
    for each in workers:
        each.shifted(now=now, count=10)
        each.shifted(now=now, elapsed=0.6)
    assert counts(workers[0], now) == (11, 0, 1)

    now = swept(workers, now)

    assert states(workers, now) == ["reverted"] * 2


@pytest.mark.parametrize(("well", "state"), [(30, "running"), (10, "reverted")])
def test_one_worker_that_alone_fails_counts_for_as_many_calls_as_it_has(hire, well, state):
    """A limit of 5 % is one of the host's calls: 4 that failed of 94 are fewer, of 34 they are more.

    Who goes back by what it sees itself tells the others by the shifts' file (tests/test_shifting.py).
    """
    workers = sick, *others = hire(4)
    now = swept(workers, START)
    for each in others:
        each.shifted(now=now, count=well)
    now = swept(workers, now)

    sick.shifted(now=now, count=4, failed=True)
    now = swept(workers, now)

    assert states([sick], now) == [state]
    assert state == "reverted" or {counts(each, now) for each in workers} == {(94, 4, 0)}


def test_enough_calls_of_the_host_take_it_a_step_on_and_there_all_count_anew(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    for each in workers:
        each.shifted(now=now, count=10)
    now = swept(workers, now) + 10.0
    one.step(now=now)
    one.shifted(now=now, count=3)
    two.shifted(now=now, count=5)  # it has not heard of the step yet
    now = swept(workers, now)
    assert (counts(one, now), counts(two, now)) == ((3, 0, 0), (25, 0, 0))

    two.stand(step=1, version=1, now=now)
    two.shifted(now=now, count=1)
    now = swept(workers, now)

    assert one.stands(now=now)["percentage"] == two.stands(now=now)["percentage"] == 50
    assert counts(one, now) == counts(two, now) == (4, 0, 0)


def test_what_a_dead_worker_has_counted_stays_and_is_counted_once(hire):
    workers = one, two, three = hire(3)
    now = swept(workers, START)
    for each in workers:
        each.shifted(now=now, count=4)
    now = swept(workers, now)
    one.kill()
    now = swept([two, three], now)
    assert counts(two, now) == (12, 0, 0)

    (fresh,) = hire()  # takes over the dead one's row
    fresh.shifted(now=now, count=2)
    now = swept([fresh, two, three], now)

    assert {counts(each, now) for each in (fresh, two, three)} == {(14, 0, 0)}


def test_what_a_worker_was_writing_as_it_was_killed_counts_as_far_as_it_is_there(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    one.shifted(now=now, count=4)
    now = swept(workers, now)
    one.kill()
    path = Path(two.status()["path"])
    ints, floats = looked_at(path, cells=CELLS, identity=identity("the same")).views()
    row = ints[table("pid")].tolist().index(one.pid)
    ints[start_of("shift_version") + row] += 1
    floats[start_of("shift_calls") + row] += 1

    now = swept([two], now)

    assert counts(two, now) == (5, 0, 0)
    assert counted(path, identity("the same"), {"v2": "running 0 0"}) == {"v2": (5, 0, 4, 0)}


def test_a_recycled_worker_judges_by_what_was_counted_before_it(hire):
    workers = one, _ = hire(2)
    now = swept(workers, START)
    one.shifted(now=now, count=2, failed=True)
    one.shifted(now=now, count=17)
    now = swept(workers, now)
    one.end()

    (fresh,) = hire()
    now = swept([fresh], now)
    fresh.shifted(now=now, failed=True)

    assert states([fresh], now) == ["reverted"]


def test_who_is_no_worker_can_see_what_all_have_counted(hire):
    workers = one, two = hire(2)
    now = swept(workers, START)
    one.shifted(now=now, count=3)
    two.shifted(now=now, count=4, elapsed=0.6)
    path = Path(one.status()["path"])
    swept(workers, now)

    def seen(name="v2", epoch="running 0 0"):
        return counted(path, identity("the same"), {name: epoch})

    assert seen() == {"v2": (7, 0, 7, 4)}
    assert seen(epoch="running 1 1") == {"v2": (0, 0, 0, 0)}
    assert seen(name="v3") == {}
    assert counted(path.with_name("none"), identity("the same"), {"v2": "running 0 0"}) == {}
    with pytest.raises(Unusable):
        counted(path, identity("others"), {"v2": "running 0 0"})


def test_a_worker_that_cannot_share_judges_alone(hire):
    (one,) = hire(directory="/proc")
    now = swept([one], START)
    one.shifted(now=now, count=19, failed=True)
    assert states([one], now) == ["running"]
    one.shifted(now=now, failed=True)
    assert states([one], now) == ["reverted"]


# One place, under a board of memory


class Heard:
    """A shift that counts what it is told to, and keeps what it hears."""

    name = "v2"

    def __init__(self, told=False):
        self.epoch, self.untold, self.heard, self.told = "running 0 0", (0,) * 4, [], told

    def drain(self):
        untold, self.untold = self.untold, (0,) * 4
        return self.epoch, untold

    def hear(self, epoch, counts, now):
        assert epoch == self.epoch
        self.heard.append(counts)


@pytest.fixture
def board():
    raw = memoryview(bytearray(8 * CELLS))
    return SimpleNamespace(ints=raw.cast("q"), floats=raw.cast("d"))


def seated(board, row, **heard):
    shift = Heard(**heard)
    return shift, Watch(shift, board.ints, board.floats, slot=2, row=row)


def said(watch, shift, *counts):
    shift.untold = counts
    watch.share(START)


def test_only_what_is_new_is_heard(board):
    (one, first), (two, second) = seated(board, 0), seated(board, 1)
    said(first, one, 3, 1, 3, 0)
    for _ in range(3):
        second.share(START)
    assert two.heard == [(3, 1, 3, 0)]
    said(first, one, 2, 0, 1, 1)
    second.share(START)
    assert two.heard[1:] == [(2, 0, 1, 1)]
    assert one.heard == []


def test_who_comes_from_another_board_hears_nothing_twice(board):
    (one, first), (two, _) = seated(board, 0), seated(board, 1)
    said(first, one, 3, 1, 3, 0)
    two, second = seated(board, 1, told=True)
    second.share(START)
    assert two.heard == []
    said(first, one, 1, 0, 1, 0)
    second.share(START)
    assert two.heard == [(1, 0, 1, 0)]


def test_what_somebody_has_written_half_of_is_not_heard_until_it_is_whole(board):
    (one, first), (two, second) = seated(board, 0), seated(board, 1)
    said(first, one, 3, 1, 3, 0)
    version = start_of("shift_version") + 2 * WORKERS
    board.ints[version] += 1
    second.share(START)
    assert two.heard == []
    board.ints[version] += 1
    second.share(START)
    assert two.heard == [(3, 1, 3, 0)]


def test_a_row_whose_owner_died_while_writing_is_begun_anew(board):
    (one, first), (two, second) = seated(board, 0), seated(board, 1)
    said(first, one, 3, 1, 3, 0)
    second.share(START)
    board.ints[start_of("shift_version") + 2 * WORKERS] += 1

    one, first = seated(board, 0)
    said(first, one, 1, 0, 1, 0)
    second.share(START)

    assert one.heard == []
    assert two.heard == [(3, 1, 3, 0), (1, 0, 1, 0)]


class Dying:
    """Figures of a worker that is killed before it has written so many."""

    def __init__(self, figures, left):
        self.figures, self.left = figures, left

    def __getitem__(self, cell):
        return self.figures[cell]

    def __setitem__(self, cell, figure):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        self.figures[cell] = figure


@pytest.mark.parametrize(("epoch", "heard"), [("running 0 0", [(2, 0, 0, 0)]), ("running 1 1", [])])
def test_who_dies_while_writing_says_what_is_there_of_its_step_and_nothing_of_a_new_one(board, epoch, heard):
    (one, first), (two, second) = seated(board, 0), seated(board, 1)
    said(first, one, 3, 1, 3, 0)
    second.share(START)
    one.epoch, first._rows._floats = epoch, Dying(board.floats, left=1)
    with pytest.raises(KeyboardInterrupt):
        said(first, one, 2, 1, 2, 0)

    mend(board.ints, 0)
    second.share(START)

    assert two.heard[1:] == heard


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), -1.0, 1e300])
def test_nonsense_is_found(board, figure):
    (one, first), (_, second) = seated(board, 0), seated(board, 1)
    said(first, one, 3, 1, 3, 0)
    board.floats[start_of("shift_failed") + 2 * WORKERS] = figure
    with pytest.raises(Unusable, match="nonsense"):
        second.share(START)


@pytest.mark.parametrize("version", [-1, -2, 2**62, 2**63 - 1])
def test_a_version_that_is_nonsense_is_written_over(board, version):
    (one, first), (two, second) = seated(board, 0), seated(board, 1)
    board.ints[start_of("shift_version") + 2 * WORKERS] = version
    said(first, one, 3, 1, 3, 0)
    second.share(START)
    assert two.heard == [(3, 1, 3, 0)]
