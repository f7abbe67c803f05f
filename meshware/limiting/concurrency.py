"""How many requests a server works on at once: fixed, or learned from how long they take.

The formulas are Netflix concurrency-limits' (AIMDLimit, Gradient2Limit with WindowedLimit), with its numbers. Only good
answers say how long one takes: an error is often quick, and a limit that grows by errors is none.

None of them is thread-safe: whoever admits (admission.py) calls them under its lock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """Requests at once at first, at least and at most; seconds; a factor on the limit; a factor on the time."""

    start: int = 20
    least: int = 20
    most: int = 200
    timeout: float = 5.0
    backoff: float = 0.9
    tolerance: float = 1.5


class ConcurrencyLimit(Protocol):
    """`limit` requests at once."""

    limit: float

    def good(self, elapsed: float, in_flight: int, now: float) -> None:
        """One was answered well in so many seconds, with so many in flight, itself among them."""
        ...

    def bad(self) -> None:
        """One came too late, or what it needs is overloaded."""
        ...


class FixedLimit:
    """It stays."""

    def __init__(self, options: LimitOptions) -> None:
        self.limit = float(options.start)

    def good(self, elapsed: float, in_flight: int, now: float) -> None:
        """Says nothing."""

    def bad(self) -> None:
        """Says nothing."""


class AimdLimit:
    """Up by one with each good answer while half of it is used; down by a tenth with each that is late."""

    def __init__(self, options: LimitOptions) -> None:
        self._options = options
        self.limit = float(options.start)

    def good(self, elapsed: float, in_flight: int, now: float) -> None:
        """A good answer after `timeout` is a late one."""
        if elapsed > self._options.timeout:
            self.bad()
        elif 2 * in_flight >= self.limit:
            self.limit = min(self._options.most, self.limit + 1)

    def bad(self) -> None:
        """Down."""
        self.limit = max(self._options.least, self._options.backoff * self.limit)


WINDOW = 1.0
"""Seconds over which times are averaged before they move a gradient limit."""

ENOUGH = 10
"""Good answers in a window that moves it."""

LONG = 600
"""Windows over which the usual time is averaged."""

WARM_UP = 10
"""Windows whose plain mean it is at first."""

QUEUE = 4.0
"""Requests that may wait: by so many a limit grows that all is well with."""

SMOOTHING = 0.2
"""Weight of one window in the limit."""


class GradientLimit:
    """Follows the usual time over the present one: 1 while nothing waits, less where a queue has grown (Gradient2)."""

    def __init__(self, options: LimitOptions) -> None:
        self._options = options
        self.limit = float(options.start)
        self._usual = 0.0
        self._windows = 0
        self._sum = 0.0
        self._count = self._most_at_once = 0
        self._until = -inf

    def good(self, elapsed: float, in_flight: int, now: float) -> None:
        """One more in the window, which may be full with it."""
        if self._until == -inf:
            self._until = now + WINDOW
        self._sum += elapsed
        self._count += 1
        self._most_at_once = max(self._most_at_once, in_flight)
        if now >= self._until and self._count >= ENOUGH:
            self._turn(self._sum / self._count, self._most_at_once)
            self._sum, self._count, self._most_at_once = 0.0, 0, 0
            self._until = now + WINDOW

    def bad(self) -> None:
        """Says nothing of how long one takes."""

    def _turn(self, present: float, in_flight: int) -> None:
        usual = self._average(present)
        if usual > 2 * present:  # after a long overload: back to what is usual sooner than by the average
            self._usual *= 0.95
        if 2 * in_flight < self.limit:  # it is not the limit that holds
            return
        gradient = max(0.5, min(1.0, self._options.tolerance * usual / present)) if present > 0 else 1.0
        wanted = (1 - SMOOTHING) * self.limit + SMOOTHING * (gradient * self.limit + QUEUE)
        self.limit = max(self._options.least, min(self._options.most, wanted))

    def _average(self, present: float) -> float:
        """The usual time, this window in it: Netflix's ExpAvgMeasurement."""
        self._windows += 1
        if self._windows <= WARM_UP:
            self._usual += (present - self._usual) / self._windows
        else:
            self._usual += (present - self._usual) * 2 / (LONG + 1)
        return self._usual


KINDS: dict[str, Callable[[LimitOptions], ConcurrencyLimit]] = {
    "fixed": FixedLimit,
    "aimd": AimdLimit,
    "gradient": GradientLimit,
}
"""The limits by their names in the settings."""
