"""Exact counts of a host's answers by service: good, bad and late ones, and how long they took, in powers of two.

Each worker has a file of its own, of cells like the board's, which outlives it. The next sweep of another worker adds
what a dead one has counted to the totals and takes its file away: once, whenever itself is killed, since the totals
say of each row whose counts they have, and are replaced whole.
"""

from __future__ import annotations

import os
from array import array
from collections import Counter
from itertools import chain, repeat
from operator import itemgetter, mul
from pathlib import Path
from typing import NamedTuple

from meshware.sharing import cells
from meshware.sharing.answers import Answers
from meshware.sharing.cells import HEADER, SIZE, Unusable
from meshware.sharing.layout import SERVICES, WORKERS

BUCKETS = 32
PER_SECOND = 2**20
"""The first bucket reaches up to this part of a second (about 1 us); each further one twice as far, the last all."""

WIDTH = 3 + BUCKETS
CELLS = HEADER + WORKERS + SERVICES * WIDTH
"""The header, of the totals also whose counts they have by row, and a row of figures for each service."""

FIRST = HEADER + WORKERS
EMPTY = array("d", bytes(CELLS * SIZE))


class Count(NamedTuple):
    """Answers of one service since the first of its host's workers began: exact."""

    good: int
    bad: int
    late: int
    buckets: tuple[int, ...]

    @staticmethod
    def bounds() -> tuple[float, ...]:
        """Up to how many seconds each bucket reaches."""
        return (*(2**number / PER_SECOND for number in range(BUCKETS - 1)), float("inf"))


class Counts:
    """One worker's counts, and the way to the totals. For who owns the row; what is dead is told by its lock."""

    def __init__(self, base: Path, row: int) -> None:
        self._base = base
        self._path = _file(base, row)
        mapped = cells.opened(self._path, cells=CELLS, identity=int.from_bytes(os.urandom(6), "little"))
        _, self._floats = mapped.views()

    def add(self, slot: int, answers: Answers) -> None:
        """So many more of the service that has this place."""
        floats, start = self._floats, FIRST + slot * WIDTH
        times = map(mul, chain(answers.times, map(itemgetter(0), answers.bad)), repeat(PER_SECOND))
        for bits, count in Counter(map(int.bit_length, map(int, times))).items():
            floats[start + 3 + min(bits, BUCKETS - 1)] += count
        floats[start] += len(answers.times)
        if answers.bad:
            floats[start + 1] += len(answers.bad)
            floats[start + 2] += sum(map(itemgetter(1), answers.bad))


def fold(base: Path, row: int) -> None:
    """Add what a dead worker has counted to the totals. Only under its lock and the gate."""
    path = _file(base, row)
    left = _read(path)
    if left is None:
        return
    totals = _read(_totals(base)) or array("d", EMPTY)
    if totals[HEADER + row] != left[3]:
        for cell in range(FIRST, CELLS):
            totals[cell] += left[cell]
        totals[HEADER + row] = left[3]
        _replace(_totals(base), totals)
    path.unlink(missing_ok=True)


def counted(base: Path, slot: int) -> Count:
    """The service's counts over all workers that are or were."""
    start = FIRST + slot * WIDTH
    files = _at_once(base)
    good, bad, late, *buckets = (int(sum(each[start + cell] for each in files)) for cell in range(WIDTH))
    return Count(good, bad, late, tuple(buckets))


def _at_once(base: Path) -> list[array[float]]:
    """The totals and the counts that are not in them yet, though somebody may be adding them up meanwhile."""
    while True:
        before = _read(_totals(base)) or EMPTY
        living = [
            each for row in range(WORKERS) if (each := _read(_file(base, row))) and each[3] != before[HEADER + row]
        ]
        after = _read(_totals(base)) or EMPTY
        if after[HEADER:FIRST] == before[HEADER:FIRST]:
            return [before, *living]


def remove(base: Path) -> None:
    """Nobody counts any more."""
    for path in _all(base):
        path.unlink(missing_ok=True)


def _file(base: Path, row: int) -> Path:
    return base.with_name(f"{base.name}.{row}.counts")


def _totals(base: Path) -> Path:
    return base.with_name(f"{base.name}.totals")


def _all(base: Path) -> list[Path]:
    return [*base.parent.glob(f"{base.name}.*.counts"), *base.parent.glob(f"{base.name}.totals")]


def _read(path: Path) -> array[float] | None:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return None
    if len(raw) != CELLS * SIZE:
        raise Unusable(f"{path}: not a file of this version")
    return array("d", raw)


def _replace(path: Path, figures: array[float]) -> None:
    fresh = path.with_name(f".{path.name}.fresh")
    fresh.write_bytes(figures.tobytes())
    fresh.replace(path)
