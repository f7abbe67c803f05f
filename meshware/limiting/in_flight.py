"""The in-flight limit: additive increase, multiplicative decrease (AIMD), as a guard and not as a brake.

What a client has in flight at a service that it overloads only makes a queue there, and a queue as long as the
deadline keeps an overload going after its cause is gone. So there is a limit, learned from answers as TCP
learns its window (Chiu and Jain, 1989; Netflix concurrency-limits, AIMDLimit). But a limit that is learned
is often too small for a moment: it refuses only while calls are failing, or waiting so long that a new one
would probably come too late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from threading import Lock

from meshware.core.call import Call
from meshware.core.outcome import NEUTRAL, OVERLOADED, SUCCESS, Cause, Outcome

RATE_SPAN = 1.0
"""Time constant of the success rate (seconds)."""

EVIDENCE = 1.0
"""Answers, faded like the success rate, that it must be more than: what failed seconds ago says nothing of now."""

PACE_SPAN = 5.0
"""Time constant of the usual rate of good answers (seconds): after a pause of a second it is still known."""

ENOUGH = 10
"""Good answers above the limit before anything is concluded from their rate."""

SILENCE = 10.0
"""Seconds with nothing in flight and nothing heard after which a low limit is `start` again."""

FALL = 0.95
"""Factor on the limit of an overload, and the most by which what others say moves it at once: it may be nonsense."""

STEP = 1.02
"""Factor by which one answer moves the running median."""


@dataclass(frozen=True, slots=True)
class InFlightOptions:
    """Calls in flight, a factor on the median response time, a share of successes, a share of the deadline."""

    start: int = 50
    least: int = 2
    tolerance: float = 3.0
    success_rate: float = 0.9
    patience: float = 0.6


class InFlightLimit:
    """The limit of one service. Exact under any number of threads: one short lock, never over I/O."""

    def __init__(self, options: InFlightOptions) -> None:
        self._options = options
        self._lock = Lock()
        self.limit = float(options.start)
        self.in_flight = 0
        self._theirs = 0.0
        self._workers = 1
        self._median = 0.0
        self._good = self._all = self._pace = self._span = self._counted = 0.0
        self._crossed: float | None = None  # when the limit was reached, if it is; and good answers since
        self._since = 0

    @property
    def spare(self) -> float:
        """How many more there may be until some are refused."""
        return self.limit - self.in_flight - self._theirs

    def others(self, in_flight: float, limits: Sequence[float]) -> None:
        """What the other workers of this host have in flight, and the limits that they have learned.

        All have one limit. Each sees only its share of the answers, so it takes steps that are larger by as much, and
        what they make of it is averaged, step by step.
        """
        with self._lock:
            self._theirs = in_flight
            self._workers = 1 + len(limits)
            told = (self.limit + sum(limits)) / self._workers
            self.limit = max(self._options.least, min(max(told, FALL * self.limit), self.limit / FALL))

    def acquire(self, call: Call, now: float) -> str | None:
        """None when the call may go on: always, but above the limit while the service is in trouble."""
        with self._lock:
            if not self.in_flight and now - self._counted > SILENCE:
                self.limit = max(self.limit, self._options.start)
            if self.in_flight + self._theirs >= self.limit:
                if self._crossed is None:
                    self._crossed, self._since = now, 0
                if self._trouble(call, self._crossed, now):
                    return self._full()
            self.in_flight += 1
            return None

    def foreseen(self, call: Call, now: float) -> str | None:
        """What `acquire` would say now."""
        with self._lock:
            return self._full() if self.spare <= 0 and self._trouble(call, self._crossed or now, now) else None

    def _full(self) -> str:
        return f"{self.in_flight + self._theirs:.0f} in flight, limit {int(self.limit)}"

    def release(self, call: Call, outcome: Outcome | None, now: float) -> None:
        """The call is over; its outcome moves the limit, None does not."""
        with self._lock:
            busy = 2 * (self.in_flight + self._theirs) >= self.limit
            self.in_flight -= 1
            if self.in_flight + self._theirs < self.limit:
                self._crossed = None
            if outcome is not None and outcome.verdict is not NEUTRAL:
                self._count(outcome.verdict is SUCCESS, now)
                self._adapt(outcome, busy)

    def _adapt(self, outcome: Outcome, busy: bool) -> None:
        """Up by one a limit's worth of good answers, if it is used; down by slow ones; a fast failure is no queue."""
        if outcome.verdict is SUCCESS:
            slow = outcome.elapsed > self._options.tolerance * self._median > 0
            self._median = self._median * (STEP if outcome.elapsed > self._median else 1 / STEP) or outcome.elapsed
            if slow:
                self.limit = max(self._options.least, self.limit - 0.5 * self._workers / self.limit)
            elif busy:
                self.limit += self._workers / self.limit
        elif outcome.verdict is OVERLOADED or outcome.cause is Cause.TIMEOUT:
            self.limit = max(self._options.least, FALL**self._workers * self.limit)

    def _count(self, good: bool, now: float) -> None:
        age = now - self._counted
        self._counted = now
        keep = exp(-age / RATE_SPAN)
        self._good = self._good * keep + good
        self._all = self._all * keep + 1
        keep = exp(-age / PACE_SPAN)
        self._pace = self._pace * keep + good
        self._since += good
        self._span = self._span * keep + PACE_SPAN * (1 - keep)  # seconds that the pace stands for

    def _trouble(self, call: Call, crossed: float, now: float) -> bool:
        """Whether calls fail, or what is in flight takes most of this one's time to answer (Little's law).

        By the better of the usual rate, which a pause does not touch, and that above the limit, which does not
        depend on how much was asked for before.
        """
        recent = self._all * exp((self._counted - now) / RATE_SPAN)
        if recent > EVIDENCE and self._good < self._options.success_rate * self._all:  # both have faded alike
            return True
        if self._since < ENOUGH or now <= crossed:
            return False
        rate = max(self._pace / (self._span + now - self._counted), self._since / (now - crossed))
        return self.in_flight > self._options.patience * call.deadline.remaining(now) * rate
