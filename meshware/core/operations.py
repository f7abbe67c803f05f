"""What is known of each operation of a service over its whole fleet: how long its answers take.

Times go into log2 buckets (8 an octave: at most 9 % off), in two half windows of 30 s that rotate.
The p95 is recomputed once the samples have grown by an eighth, not at every call.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from math import inf, log2
from typing import Generic, TypeVar

from meshware.core.feasible import Feasible
from meshware.core.request import Request, operation_of

HALF = 30.0
ENOUGH = 20
"""Samples in the window before a p95 is believed."""

LIMIT = 64
"""Operations a service; further ones share `other`."""

PATHS = 1024
LONGEST = 256
"""Characters of a path that is kept with what it stands for; a longer one is taken apart each time."""

LONGEST_METHOD = 16
"""Characters of a method that has figures of its own."""

RECENT = 1 / 16
"""Weight of one answer in the recent mean."""

PROOF = 0.2
"""Weight of one retry after a cut in the belief that cutting pays."""

LEAST_CUTS = 0.05
"""Share of the late attempts that are cut all the same, to learn whether it pays by now."""

_LOW = -14
_LEAST = 2.0**_LOW  # 61 us
_BUCKETS = 8 * 22  # up to 2**8 s = 256 s


class Operation:
    """One operation's times to headers, successes only. Updates are lock-free: a race may lose a sample.

    `recent` is the mean of the last few, in seconds; 0.0 before the first. `cuts_pay` is the share of late attempts
    that it is right to cut: low where the retry takes as long, since the request itself is heavy.
    """

    __slots__ = (
        "_at", "_buckets", "_count", "_due", "_old", "_old_count", "_p95", "_parent", "cuts_pay", "feasible",
        "name", "recent",
    )  # fmt: skip

    def __init__(self, name: str, parent: Operation | None = None) -> None:
        self.name = name
        self._parent = parent
        self._buckets, self._old = [0] * _BUCKETS, [0] * _BUCKETS
        self._count = self._old_count = 0
        self._at = -inf
        self._p95: float | None = None
        self._due = ENOUGH
        self.recent = 0.0
        self.cuts_pay = 1.0
        self.feasible = Feasible()

    def record(self, seconds: float, now: float) -> None:
        """One success took so long from send to headers."""
        bucket = int((log2(seconds) - _LOW) * 8) if seconds > _LEAST else 0
        if bucket >= _BUCKETS:
            bucket = _BUCKETS - 1
        self.feasible.record(seconds, now)
        each: Operation | None = self
        while each is not None:
            if now - each._at >= HALF:
                each._rotate(now)
            each.recent += (seconds - each.recent) * RECENT if each.recent else seconds
            each._buckets[bucket] += 1
            each._count += 1
            if each._count + each._old_count >= each._due:
                each._compute()
            each = each._parent

    def apart(self, parent: Operation) -> Operation:
        """The same, to look at: windows that turn meanwhile are not this one's. `parent` is who stands in for it."""
        made = copy(self)
        made._parent, made.feasible = parent, copy(self.feasible)
        return made

    def judge_cut(self, paid: bool) -> None:
        """After an attempt had been cut, the retry was faster, or it was late as well."""
        self.cuts_pay = max(LEAST_CUTS, self.cuts_pay + PROOF * (paid - self.cuts_pay))

    def p95(self, now: float) -> float | None:
        """Its own 95th percentile in seconds over the last 30 to 60 s; None before 20 samples."""
        if now - self._at >= HALF:
            self._rotate(now)
        return self._p95

    def figures(self, now: float) -> float | None:
        """Its own p95, or the service's while it has too few samples."""
        if now - self._at >= HALF:
            self._rotate(now)
        return self._p95 if self._p95 is not None or self._parent is None else self._parent.p95(now)

    def sure(self, samples: int, now: float) -> float | None:
        """Its own p95, once so many samples stand behind it."""
        pace = self.p95(now)
        return pace if self._count + self._old_count >= samples else None

    def _rotate(self, now: float) -> None:
        """A new half window begins; what is older than two is forgotten."""
        stale = now - self._at >= 2 * HALF
        self._old = [0] * _BUCKETS if stale else self._buckets
        self._old_count = 0 if stale else self._count
        self._buckets, self._count = [0] * _BUCKETS, 0
        self._at = now
        self._compute()

    def _compute(self) -> None:
        total = self._count + self._old_count
        self._due = max(ENOUGH, total + max(8, total // 8))
        if total < ENOUGH:
            self._p95 = None
            return
        beyond, bucket = total * 0.05, _BUCKETS
        while beyond >= 0 and bucket > 0:
            bucket -= 1
            beyond -= self._buckets[bucket] + self._old[bucket]
        self._p95 = 2.0 ** ((bucket + 1) / 8 + _LOW)

    def __repr__(self) -> str:
        return f"<Operation {self.name}: {self._count + self._old_count} samples>"


T = TypeVar("T")


class Named(Generic[T]):
    """Something for each operation, by name, in order of first use; past `limit` of them, one for all `other`."""

    def __init__(self, make: Callable[[str], T], limit: int = LIMIT) -> None:
        self._make = make
        self._limit = limit
        self._named: dict[str, T] = {}
        self._by_path: dict[tuple[str, str], T] = {}
        self._other = make("other")

    def at(self, method: str, path: str) -> T:
        """By method and path, variable segments starred."""
        key = (method, path)
        found = self._by_path.get(key)
        return self._place(key) if found is None else found

    def known(self, method: str, path: str) -> T | None:
        """The same, where it was asked for before."""
        found = self._by_path.get((method, path))
        return (
            found if found is not None or len(method) > LONGEST_METHOD else self._named.get(operation_of(method, path))
        )

    def already(self, name: str) -> T | None:
        """By a given name, where that has something, or would have to share it with others."""
        return self._named.get(name, self._other if len(self._named) >= self._limit else None)

    def named(self, name: str) -> T:
        """By a given name."""
        found = self._named.get(name)
        if found is None:
            if len(self._named) >= self._limit:
                return self._other
            found = self._named.setdefault(name, self._make(name))
        return found

    def _place(self, key: tuple[str, str]) -> T:
        if len(key[0]) > LONGEST_METHOD:
            return self._other
        found = self.named(operation_of(*key))
        if len(key[1]) <= LONGEST:
            if len(self._by_path) >= PATHS:
                self._by_path.clear()
            self._by_path[key] = found
        return found


class Operations:
    """The operations of one service by name, in order of first use, and `total` over all of them."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.total = Operation("all")
        self._each = Named(lambda name: Operation(name, self.total), limit)

    def of(self, request: Request) -> Operation:
        """The operation of a request: its given name, or its path with variable segments starred."""
        if request.name is not None:
            return self._each.named(f"{request.method} {request.name}")
        return self._each.at(request.method, request.path)

    def foreseen(self, request: Request) -> Operation:
        """What `of` would give, to look at: nothing is kept of that it was asked for, nor of what becomes of it."""
        method = request.method
        name = operation_of(method, request.path) if request.name is None else f"{method} {request.name}"
        return (self._each.already(name) or Operation(name)).apart(copy(self.total))
