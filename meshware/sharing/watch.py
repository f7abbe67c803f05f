"""One shift's place on the board: what each worker has counted of its step, and what all have.

Counts belong to a row and an epoch, not to a worker: who takes over a dead one's row counts on where that one ended; in
a new epoch all begin at nothing. So nobody has to add them up elsewhere, and nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from operator import add, sub
from pathlib import Path
from typing import Protocol

from meshware.sharing.cells import Unusable, looked_at
from meshware.sharing.directory import key
from meshware.sharing.layout import CELLS, COUNTED, OF_SHIFTS, WORKERS, start_of, strided, table

Counted = tuple[float, ...]
"""Figures in the order of the board's that add up over workers."""

NONE: Counted = (0.0,) * len(COUNTED)

UNSEEN = [0] * WORKERS
"""The versions of rows that nobody has ever counted in."""

LAST = (1 << 62) - 1
"""Versions begin anew after that, as they do where somebody has written nonsense."""

TRIES = 100
"""Looks at a row whose owner is at it."""

MUCH = 1e12
"""So many calls nobody has counted."""


class Watched(Protocol):
    """A shift, which counts, and judges by what all count. Thread-safe."""

    name: str

    @property
    def told(self) -> bool:
        """Whether any of what it has counted was told, or heard, before."""
        ...

    def drain(self) -> tuple[str, Sequence[float]]:
        """What was counted here since the last time, and in which epoch."""
        ...

    def hear(self, epoch: str, counts: Counted, now: float) -> None:
        """So much more have the others counted; of another epoch it means nothing."""
        ...


class Watch:
    """For the housekeeper only. `row` is this worker's; what was in it before is told as what others have counted."""

    def __init__(
        self, shift: Watched, ints: memoryview[int], floats: memoryview[float], *, slot: int, row: int
    ) -> None:
        self._shift, self._row = shift, row
        self._rows = _Rows(ints, floats, slot)
        self._epoch = ""
        self._said = NONE
        self._heard: dict[int, Counted] = {}
        self._versions = UNSEEN
        if shift.told:  # on another board, or on this one before: what stands here is known
            self._share()

    def share(self, now: float) -> None:
        """Say what we have counted, and hear what the others have. Raises Unusable for nonsense."""
        heard = self._share()
        if any(heard):
            self._shift.hear(self._epoch, heard, now)

    def _share(self) -> Counted:
        epoch, counted = self._shift.drain()
        news = self._begin(epoch) if epoch != self._epoch else NONE
        if any(counted):
            self._said = _plus(self._said, counted)
            self._rows.put(self._row, self._number, self._said)
        return _plus(news, self._fresh())

    def _begin(self, epoch: str) -> Counted:
        """Count in this epoch from now on; what our row has of it already."""
        self._epoch, self._number = epoch, key(epoch)
        self._heard, self._versions = {}, UNSEEN
        self._said = self._rows.read(self._row, self._number) or NONE
        return self._said

    def _fresh(self) -> Counted:
        """What the others have counted since the last time. A row that somebody is at has another version later."""
        versions, fresh = self._rows.versions(), NONE
        changed = [row for row in range(WORKERS) if versions[row] != self._versions[row] and row != self._row]
        for row in changed:
            counted = self._rows.read(row, self._number)
            if counted is not None:
                before = self._heard.get(row, NONE)
                fresh = _plus(fresh, counted if counted[0] < before[0] else map(sub, counted, before))
                self._heard[row] = counted
        self._versions = versions
        return fresh


class _Rows:
    """All rows of one place. Who reads an odd version, or another afterwards, has read half of something."""

    def __init__(self, ints: memoryview[int], floats: memoryview[float], slot: int) -> None:
        self._ints, self._floats = ints, floats
        self._version, self._epoch, *self._figures = (start_of(each) + slot * WORKERS for each in OF_SHIFTS)

    def versions(self) -> list[int]:
        """Of each row."""
        return self._ints[self._version : self._version + WORKERS].tolist()

    def read(self, row: int, epoch: int) -> Counted | None:
        """What was counted there of this epoch; None: nothing, or somebody is at it."""
        ints, at = self._ints, self._version + row
        version = ints[at]
        if version % 2 or ints[self._epoch + row] != epoch:
            return None
        found = tuple(self._floats[each + row] for each in self._figures)
        if ints[at] != version:
            return None
        if not all(isfinite(each) and 0 <= each < MUCH for each in found):
            raise Unusable("nonsense is said of what was counted of a shift")
        return found

    def put(self, row: int, epoch: int, counted: Counted) -> None:
        """What belongs together goes between two versions. The first is odd, whatever a dead one has left."""
        writing = (self._ints[self._version + row] | 1) & LAST
        self._ints[self._version + row] = writing
        if self._ints[self._epoch + row] != epoch:
            self._ints[self._epoch + row] = 0  # who is killed before all is there says nothing of either
        for cell, figure in zip(self._figures, counted, strict=True):
            self._floats[cell + row] = figure
        self._ints[self._epoch + row] = epoch
        self._ints[self._version + row] = writing + 1

    def sum(self, epoch: int) -> Counted:
        """What all have counted of this epoch."""
        total = NONE
        for row in range(WORKERS):
            found = (self.read(row, epoch) for _ in range(TRIES))
            total = _plus(total, next((each for each in found if each is not None), NONE))
        return total


def mend(ints: memoryview[int], row: int) -> None:
    """Nobody is at this row: who has died while at it had written some of its counts, and they are right."""
    versions = ints[strided("shift_version", row)]
    for slot, version in enumerate(versions):
        if version % 2:
            versions[slot] = (version & LAST) + 1


def counted(path: Path, identity: int, epochs: Mapping[str, str]) -> dict[str, Counted]:
    """What all workers of this board have counted of these shifts' steps, for who is no worker; none without a board.

    Raises Unusable, or OSError.
    """
    board = looked_at(path, cells=CELLS, identity=identity)
    if board is None:
        return {}
    ints, floats = board.views()
    slots = {whose: slot for slot, whose in enumerate(ints[table("shift")]) if whose}
    known = {name: slots[key(name)] for name in epochs if key(name) in slots}
    return {name: _Rows(ints, floats, slot).sum(key(epochs[name])) for name, slot in known.items()}


def _plus(one: Counted, other: Iterable[float]) -> Counted:
    return tuple(map(add, one, other))
