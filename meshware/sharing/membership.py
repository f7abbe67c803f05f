"""A worker's row on a board, from joining to leaving, and what becomes of the rows of those that have died."""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from weakref import ref

from meshware.sharing import cells
from meshware.sharing.cells import Cells, Unusable, opened
from meshware.sharing.counts import Counts, fold, remove
from meshware.sharing.layout import (
    ANSWERS,
    CELLS,
    FIGURES,
    OF_ENDPOINTS,
    OF_SERVICES,
    OF_WORKERS,
    SERVICES,
    WORKERS,
    start_of,
    strided,
    table,
)
from meshware.sharing.rows import Rows
from meshware.sharing.watch import mend

STEP = 4
"""Rows are looked at in steps of so many: a worker that comes or goes seldom changes what a pick adds up."""

FRESH = 0.03
"""Seconds since its last sweep within which a worker is not asked whether it lives: to ask lets go of the interpreter,
which in a busy worker comes back late. Longer than one SWEEP (housekeeper.py), shorter than two.
"""

PATIENCE = 50
"""Tries, a millisecond apart, to leave nothing behind."""

NO_SERVICES, NO_WORKERS, NO_ANSWERS = (array("d", bytes(8 * count)) for count in (SERVICES, WORKERS, WORKERS * FIGURES))


class Membership:
    """`ints` and `floats` are the board's cells, `row` is this worker's, `high` how many rows there are to look at."""

    def __init__(self, path: Path, identity: int, mapped: Cells, *, rows: Rows, row: int, counts: Counts) -> None:
        self.path, self.row, self.rows, self.counts = path, row, rows, counts
        self._identity, self._mapped = identity, mapped
        self.ints, self.floats = mapped.views()
        self.high = 0
        self.wipe(row)
        self.ints[start_of("pid") + row] = os.getpid()

    @classmethod
    def join(cls, path: Path, identity: int, owner: object) -> Membership | None:
        """Claim a row for the owner; None when somebody else is at the gate. Raises Unusable, or OSError."""
        mapped = opened(path, cells=CELLS, identity=identity)
        if mapped.owner is not None and mapped.owner() not in (None, owner):
            raise Unusable("another mesh of this process has the same settings")
        rows = Rows(mapped.descriptor, WORKERS)
        with rows.gate() as alone:
            if not alone or not cells.same_file(path, mapped):
                return None
            row = rows.claim()
            if row is None:
                raise Unusable(f"{path}: all {WORKERS} places are taken")
            try:
                fold(path, row)
                counts = Counts(path, row)
            except BaseException:
                rows.leave(row)
                raise
        mapped.owner = ref(owner)
        return cls(path, identity, mapped, rows=rows, row=row, counts=counts)

    def check(self) -> None:
        """Raises Unusable when the board is none any more."""
        if not cells.intact(self.ints, cells=CELLS, identity=self._identity):
            raise Unusable(f"{self.path}: somebody else has written to it")

    def leave(self) -> None:
        """Give the row back; the last one takes the files away."""
        # who does not get through leaves his counts to the next sweep of another
        with self.rows.gate(PATIENCE) as alone:
            try:
                self.wipe(self.row, gone=alone)
                if alone and self.rows.alone(self.row):
                    self.path.unlink(missing_ok=True)
                    remove(self.path)
                elif alone:
                    fold(self.path, self.row)
            finally:
                self.give_up()

    def give_up(self) -> None:
        """Give the row back, and touch nothing else."""
        self.rows.leave(self.row)
        self._mapped.owner = None

    def workers(self) -> list[int]:
        """Their process ids."""
        return [pid for pid in self.ints[table("pid")].tolist() if pid]

    def bury(self, now: float) -> bool:
        """Wipe what workers that are dead had in flight, at once, and keep what they have counted.

        Whether there are more rows to look at now, or fewer.
        """
        pids = self.ints[table("pid")].tolist()
        others = [row for row, pid in enumerate(pids) if pid and row != self.row]
        beats = self.floats[table("beat")].tolist()
        for row in self.rows.orphans(row for row in others if not 0 <= now - beats[row] < FRESH):
            self.wipe(row, gone=self._kept(row))
        last = max([self.row, *others])
        high, self.high = self.high, min(WORKERS, (last // STEP + 1) * STEP)
        return high != self.high

    def _kept(self, row: int) -> bool:
        with self.rows.gate() as alone:
            if alone:
                fold(self.path, row)
            return alone

    def wipe(self, row: int, *, gone: bool = True) -> None:
        """Nobody is in this row any more. Versions are odd meanwhile, so that nobody adds up half of it.

        Only places that are somebody's are touched: the memory of the others is none of ours.
        """
        floats = self.floats
        for slot, whose in enumerate(self.ints[table("endpoint")]):
            if whose:
                at = slot * WORKERS + row
                floats[start_of("version") + at] = 1.0
                for name in OF_ENDPOINTS[1:]:
                    floats[start_of(name) + at] = 0.0
                start = start_of(ANSWERS) + at * FIGURES
                floats[start : start + FIGURES] = NO_ANSWERS[:FIGURES]
                floats[start_of("version") + at] = 0.0
        for name in OF_SERVICES:
            floats[strided(name, row)] = NO_SERVICES
        for name in OF_WORKERS[1:]:
            floats[start_of(name) + row] = 0.0
        mend(self.ints, row)
        if gone:
            self.ints[start_of("pid") + row] = 0

    def empty(self, slot: int) -> None:
        """Another endpoint gets this place."""
        for name in OF_ENDPOINTS:
            start = start_of(name) + slot * WORKERS
            self.floats[start : start + WORKERS] = NO_WORKERS
        start = start_of(ANSWERS) + slot * len(NO_ANSWERS)
        self.floats[start : start + len(NO_ANSWERS)] = NO_ANSWERS
