"""A file that is looked at again and again, for what it holds when that has changed.

Looking costs one `stat`. A file that came in another's place (a rename, a symlink that was turned, as Kubernetes
turns those of a ConfigMap) is read at once; one that is written in place, when it was left alone for a moment.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from meshware.core.errors import Problem
from meshware.files import limits
from meshware.files.contents import Unreadable, contents

GRAIN = 2.0
"""Seconds for which a file that was just written is read at each look: within its clock's grain, nothing shows that it
was written once more (ext4: 4 ms, FAT: 2 s)."""

ALONE = 0.25
"""Seconds for which nobody must have written to a file that is written in place."""

PATIENCE = 8
"""Looks for which a file that is written without a pause is put off; then it is read as it is."""


class Watched:
    """What a file holds, told when it changes. For one thread at a time; nothing is read before the first look.

    `moving`: whether the last look found it written to, or another in its place: then the next may be soon.
    """

    def __init__(self, path: str, *, size: int = limits.SIZE, wall: Callable[[], float] = time.time) -> None:
        self.path = path
        self.moving = False
        self._size = size
        self._wall = wall
        self._stamp: Stamp | None = None
        self._fresh = True
        self._digest = b""
        self._put_off = 0
        self._held: Held | None = None

    def look(self) -> bytes | None:
        """Its bytes, if they are others than those that a look gave last; else None. Raises Unreadable."""
        self.moving = False
        try:
            stamp = Stamp.of(self.path)
        except Unreadable:
            self._stamp = self._held = None  # what comes in its place is another file
            raise
        if stamp == self._stamp and not self._fresh:
            return None
        if self._under_way(stamp):
            self.moving = True
            return None
        data = contents(self.path, size=self._size)
        if Stamp.of(self.path) != stamp:  # half of it may be of before, half of after
            self.moving = True
            return None
        self.moving = stamp != self._stamp
        return data if self._keep(stamp, data) else None

    def read(self) -> bytes:
        """Its bytes as they are now; the next look gives them when they have changed. Raises Unreadable."""
        stamp = Stamp.of(self.path)
        data = contents(self.path, size=self._size)
        self._keep(stamp, data)
        return data

    def _keep(self, stamp: Stamp, data: bytes) -> bool:
        """Remember what was read; whether that is something else than before."""
        before, self._digest = self._digest, blake2b(data).digest()
        if self._held is None or self._held.file != stamp.file:
            self._held = Held.of(self.path)
        self._stamp, self._fresh = stamp, self._age(stamp) < GRAIN
        return self._digest != before

    def _under_way(self, stamp: Stamp) -> bool:
        """Whether somebody seems to be writing to it just now."""
        same = self._held is not None and self._held.file == stamp.file
        in_place = same and stamp != self._stamp
        self._put_off = self._put_off + 1 if in_place and 0 <= self._age(stamp) < ALONE else 0
        return 0 < self._put_off <= PATIENCE

    def _age(self, stamp: Stamp) -> float:
        return self._wall() - stamp.modified / 1e9


class Held:
    """A file that is kept open, so that its number is no other's: file systems give it away again at once."""

    def __init__(self, descriptor: int) -> None:
        weakref.finalize(self, os.close, descriptor)
        now = os.fstat(descriptor)
        self.file = now.st_dev, now.st_ino

    @classmethod
    def of(cls, path: str) -> Held | None:
        """The one that is there now; None where it cannot be had, or nobody could replace it then (Windows)."""
        if os.name == "nt":
            return None
        try:
            return cls(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        except OSError:
            return None


class Stamp(NamedTuple):
    """Which file it is, behind all symlinks, and when it was last changed."""

    file: tuple[int, int]
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """As it is now. Raises Unreadable."""
        try:
            now = os.stat(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise Unreadable(Problem("", path, f"a file that can be read ({reason})")) from error
        return cls((now.st_dev, now.st_ino), now.st_size, now.st_mtime_ns, now.st_ctime_ns)
