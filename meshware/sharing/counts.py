"""Exact counts of a host's answers by service: good, bad and late ones, and how long they took, in powers of two.

Each worker has a file of its own, of cells like the board's, which outlives it. The next sweep of another worker adds
what a dead one has counted to the totals and takes its file away: once, whenever itself is killed, since the totals
say of each row whose counts they have, and are replaced whole.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import NamedTuple

from meshware.sharing import cells
from meshware.sharing.answers import Heard
from meshware.sharing.cells import HEADER, SIZE, Unusable
from meshware.sharing.layout import SERVICES, WORKERS

BUCKETS = 32
BOUNDS = tuple(2.0 ** (number - 20) for number in range(BUCKETS - 1))
"""Below how many seconds each bucket ends but the last, which has no end: the first at about 1 us."""

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
        return (*BOUNDS, inf)


class Counts:
    """One worker's counts, and the way to the totals. For who owns the row; what is dead is told by its lock."""

    def __init__(self, base: Path, row: int) -> None:
        self._base = base
        self._path = _file(base, row)
        mapped = cells.opened(self._path, cells=CELLS, identity=int.from_bytes(os.urandom(6), "little"))
        _, self._floats = mapped.views()

    def add(self, slot: int, heard: Heard) -> None:
        """So many more of the service that has this place."""
        floats, start = self._floats, FIRST + slot * WIDTH
        for cell, more in enumerate((len(heard.good), len(heard.bad), heard.cut), start):
            floats[cell] += more
        for seconds in (heard.good, heard.bad):
            for bucket, count in _in_buckets(seconds):
                floats[start + 3 + bucket] += count


def _in_buckets(seconds: Sequence[float]) -> Iterator[tuple[int, int]]:
    """Buckets, and how many of these, which are sorted, are in each: of many answers most are in a few."""
    at = 0
    while at < len(seconds):
        bucket = bisect_right(BOUNDS, seconds[at])
        end = bisect_left(seconds, BOUNDS[bucket], at + 1) if bucket < len(BOUNDS) else len(seconds)
        yield bucket, end - at
        at = end


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
