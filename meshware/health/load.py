"""How busy this process is with the requests that it serves: in flight, rate, errors, and the time that one takes.

One object per mesh. What is in flight is exact: an entry each, taken at the begin and given back once, however the
request ends, at the latest when nobody holds it any more. Rates are statistical (single assignments, a race may lose a
sample) and forgotten exponentially. The time that one takes follows from them (Little's law: what is in flight in the
mean, over the rate), so that a request that hangs is seen before it ends.

Figures of several workers can be added up: see `Figures`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from math import exp
from typing import NamedTuple

PATH = "/.well-known/meshware/load"
"""Where a server of ours tells how busy it is."""

SPAN = 5.0
"""Time constant by which rates forget, in seconds."""

LEAST_SPAN = 1.0
"""Seconds that rates are of at least: the first request of all is no rate of thousands."""

FEW = 3.0
"""Requests in SPAN seconds, by the rate, under which it is not told how long one takes."""


class Figures(NamedTuple):
    """What a worker is busy with; of a server it is the sum over its workers.

    `in_flight`: requests right now. `slots`: how many it works on at once. `rps`, `eps`: requests and errors a
    second. `busy`: requests in flight in the mean, which is the rate times the seconds that one takes.
    """

    in_flight: float = 0.0
    slots: float = 0.0
    rps: float = 0.0
    eps: float = 0.0
    busy: float = 0.0

    @property
    def service_time(self) -> float | None:
        """Seconds that a request takes; None where there are too few."""
        return self.busy / self.rps if self.rps * SPAN >= FEW else None

    @property
    def utilization(self) -> float:
        """Share of the slots that are taken in the mean; more than 1 where requests wait for one."""
        return self.busy / self.slots if self.slots else 0.0


class Load:
    """The requests that one process serves. Thread-safe; `begin` and what it gives may be used on any thread.

    `others`: the sum of the figures of the host's other workers, put there by whoever knows them.
    """

    def __init__(self, clock: Callable[[], float], *, slots: int = 1) -> None:
        self._clock = clock
        self.slots = slots
        self.others: tuple[float, ...] = Figures()
        self.after_fork()

    def after_fork(self) -> None:
        """In the child: what the parent serves is not served here."""
        self._open: dict[int, None] = {}
        self._numbers = count()
        self._since: float | None = None
        self._kept = (0.0, 0.0, 0.0, 0.0)  # in flight, requests and errors, faded; and when: one assignment

    def begin(self) -> Served:
        """A request begins. It ends by `Served.end`."""
        now = self._clock()
        if self._since is None:
            self._since = now
        self._kept = *self._faded(now, len(self._open)), now
        number = next(self._numbers)
        self._open[number] = None
        return Served(self, self._open, number)

    def own(self, now: float) -> Figures:
        """What this process is busy with."""
        busy, requests, errors = self._faded(now, len(self._open))
        known = 1.0 - exp(-self._lived(now) / SPAN)  # of a window that is not full yet
        rate = SPAN * max(known, 1.0 - exp(-LEAST_SPAN / SPAN))
        return Figures(len(self._open), self.slots, requests / rate, errors / rate, busy * SPAN / rate)

    def figures(self, now: float) -> Figures:
        """What this server is busy with, in all its workers that are known."""
        own = self.own(now)
        return Figures(*(mine + theirs for mine, theirs in zip(own, self.others, strict=True)))

    def _lived(self, now: float) -> float:
        return 0.0 if self._since is None else max(0.0, now - self._since)

    def _faded(self, now: float, in_flight: int) -> tuple[float, float, float]:
        """What is left of each figure; so many were in flight since."""
        busy, requests, errors, then = self._kept
        keep = exp(min(0.0, then - now) / SPAN)
        return busy * keep + in_flight * (1.0 - keep), requests * keep, errors * keep

    def serves(self, opened: dict[int, None]) -> bool:
        """Whether these are the requests of this process, and not those of its parent before a fork."""
        return opened is self._open

    def ended(self, *, failed: bool) -> None:
        """One has just left those in flight."""
        now = self._clock()
        busy, requests, errors = self._faded(now, len(self._open) + 1)
        self._kept = busy, requests + 1.0, errors + failed, now


class Served:
    """One request that is being served. `told`: who asked may hear in the answer's headers how busy the server is."""

    __slots__ = ("_load", "_number", "_open", "failed", "told")

    def __init__(self, load: Load, opened: dict[int, None], number: int) -> None:
        self._load = load
        self._open = opened  # those of its process: a fork's child has others
        self._number = number
        self.failed = self.told = False

    def end(self) -> None:
        """It is over: the answer has gone out, or nobody works on it any more. Idempotent."""
        if self._open.pop(self._number, _GONE) is None and self._load.serves(self._open):
            self._load.ended(failed=self.failed)

    def __del__(self) -> None:
        """A body that nobody has closed. Takes no lock: this may run anywhere."""
        self._open.pop(self._number, None)

    def __repr__(self) -> str:
        return f"<Served {'in flight' if self._number in self._open else 'ended'}>"


_GONE = object()
