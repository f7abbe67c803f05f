"""Who owns which row of a board: a record lock on one byte each (POSIX, fcntl), held for as long as the worker lives.

The kernel drops them when a process dies, however it dies, and does not hand them on over a fork. Byte 0 is the gate:
held for a moment by who joins, leaves, or makes room. Nobody waits for a lock here but who leaves for good, and he
not for long: who does not get it comes back at the next sweep.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from meshware.sharing.cells import mapped_here

GATE = 0


class Rows:
    """The locks of one file. A process must not test a row that it owns: to test is to take and to give back."""

    def __init__(self, descriptor: int, count: int) -> None:
        self._descriptor = descriptor
        self.count = count

    def claim(self) -> int | None:
        """The first row that nobody owns, from now on ours; None when all are owned."""
        return next((row for row in range(self.count) if self._take(row + 1)), None)

    def leave(self, row: int) -> None:
        """Give one's own row back."""
        self._give(row + 1)

    def alone(self, row: int) -> bool:
        """Whether nobody owns another row than this."""
        return not any(self._owned(other) for other in range(self.count) if other != row)

    def orphans(self, rows: Iterable[int]) -> Iterator[int]:
        """Those of these rows whose owner is dead; nobody else has one or takes it while it is looked at."""
        for row in rows:
            if self._take(row + 1):
                try:
                    yield row
                finally:
                    self._give(row + 1)

    @contextmanager
    def gate(self, tries: int = 1) -> Iterator[bool]:
        """Whether we are the only one who joins, leaves or makes room now; further `tries` are a millisecond apart."""
        for _ in range(tries - 1):
            with self._held(GATE) as held:
                if held:
                    yield True
                    return
            time.sleep(0.001)
        with self._held(GATE) as held:
            yield held

    @contextmanager
    def _held(self, byte: int) -> Iterator[bool]:
        held = self._take(byte)
        try:
            yield held
        finally:
            if held:
                self._give(byte)

    def _owned(self, row: int) -> bool:
        with self._held(row + 1) as held:
            return not held

    def _take(self, byte: int) -> bool:
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte, os.SEEK_SET)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: both say that somebody has it
            return False
        return True

    def _give(self, byte: int) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte, os.SEEK_SET)


def inhabited(path: Path) -> bool:
    """Whether anybody owns a row of a board that is not ours. False where that cannot be told."""
    if mapped_here(path):  # to open and close it would drop our own locks
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, 0, GATE + 1, os.SEEK_SET)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
