"""A memory-mapped file of 8-byte cells, for one process or for all workers of a host.

A cell is read and written by item on a typed memoryview: one aligned 8-byte move, so nobody ever sees half of one
(`struct` copies byte by byte, and tears). Nothing here knows what the cells mean.

A process drops its record locks on a file when it closes any descriptor of that file, and a mapping has one of its
own. So a file is mapped once per process, and again only when the last view of it has gone.
"""

from __future__ import annotations

import mmap
import os
import stat
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path
from threading import Lock

SIZE = 8
"""Bytes of a cell."""

MAGIC = int.from_bytes(b"meshware", "little")
VERSION = 3
"""Of the layout: files of different versions have different names too."""

HEADER = 8
"""Cells before the first of the file's own: magic, version, number of cells, identity; the rest are spare."""


class Unusable(Exception):
    """Why a file of cells cannot be had, in words."""


class Cells(mmap.mmap):
    """The mapping of one file. It ends when nobody holds a view of it, never before: a call may be writing there."""

    descriptor: int
    owner: weakref.ref[object] | None = None  # who has claimed a row of it for this process

    def __del__(self) -> None:
        descriptor = self.__dict__.pop("descriptor", None)
        if descriptor is not None:
            os.close(descriptor)

    def views(self) -> tuple[memoryview[int], memoryview[float]]:
        """The same cells as whole numbers, and as floats."""
        raw = memoryview(self)
        return raw.cast("q"), raw.cast("d")


def opened(path: Path, *, cells: int, identity: int) -> Cells:
    """The file of so many cells, made if there is none. Raises Unusable with the reason."""
    try:
        with _opening:
            found = _mapped(path)
            if found is None:
                with suppress(FileExistsError):  # another worker was faster
                    _make(path, cells, identity)
                found = _mapped(path)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from error
    if found is None:
        raise Unusable(f"{path}: it comes and goes")
    return _checked(found, path, cells, identity)


def looked_at(path: Path, *, cells: int, identity: int) -> Cells | None:
    """The file of so many cells, for who only looks; None where there is none. Raises Unusable, or OSError."""
    with _opening:
        found = _mapped(path)
    return None if found is None else _checked(found, path, cells, identity)


def _checked(found: Cells, path: Path, cells: int, identity: int) -> Cells:
    if not intact(found.views()[0], cells=cells, identity=identity):
        raise Unusable(f"{path}: not a file of this version")
    return found


def intact(ints: memoryview[int], *, cells: int, identity: int) -> bool:
    """Whether the header says what it should."""
    return len(ints) == cells and ints[:4].tolist() == [MAGIC, VERSION, cells, identity]


def same_file(path: Path, cells: Cells) -> bool:
    """Whether the path still names the file that is mapped: the last worker to leave takes it away."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(cells.descriptor))
    except OSError:
        return False


def mapped_here(path: Path) -> bool:
    """Whether this process has the file mapped."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) in _mappings


def _after_fork() -> None:
    """In the child: a lock of its own. The mappings are the parent's, and as good here."""
    global _opening
    _opening = Lock()


_mappings: weakref.WeakValueDictionary[tuple[int, int], Cells] = weakref.WeakValueDictionary()
_opening = Lock()


def _mapped(path: Path) -> Cells | None:
    """The file as it is mapped in this process already, or now; None where there is none."""
    try:
        there = os.stat(path, follow_symlinks=False)
        known = _mappings.get((there.st_dev, there.st_ino))
        if known is not None:
            return known
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status = os.fstat(descriptor)
        _check(path, status)
        made = Cells(descriptor, status.st_size)
    except BaseException:
        os.close(descriptor)
        raise
    made.descriptor = descriptor
    _mappings[status.st_dev, status.st_ino] = made
    return made


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise Unusable(f"{path}: not a file of this user's alone")
    if not status.st_size or status.st_size % SIZE:
        raise Unusable(f"{path}: not a file of this version")


def _make(path: Path, cells: int, identity: int) -> None:
    """Whole or not at all. The room is taken now: a hole that cannot be filled later would kill who writes there."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        _fill(descriptor, cells * SIZE)
        header = b"".join(each.to_bytes(SIZE, "little", signed=True) for each in (MAGIC, VERSION, cells, identity))
        os.pwrite(descriptor, header, 0)
        os.link(temporary, path)
    finally:
        os.close(descriptor)
        os.unlink(temporary)


def _fill(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    written = 0
    while written < size:
        written += os.pwrite(descriptor, bytes(size - written), written)


os.register_at_fork(after_in_child=_after_fork)
