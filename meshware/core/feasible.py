"""Whether what is about to begin can still be answered in time, by how long the quickest of late have taken.

Work that is begun and comes too late is the waste that keeps an overload going. To refuse what has expired saves
little (what has a millisecond left is wasted too); to refuse what cannot finish saves nearly all of it.

What is expected is the 20th percentile of the last successes: short of it four answers in five would come too late.
A figure that is kept by refusing would never be corrected, so it fades when nothing succeeds, one a second is let
through in spite of it, and one that was in time lets more through at once.
"""

from __future__ import annotations

from collections import deque
from math import exp, inf

LAST = 20
"""Successes that are looked at."""

FEW = 5
"""Of fewer nothing is concluded."""

FADES = 10.0
"""Time constant in seconds by which the figure goes to 0 while nothing succeeds."""

TRIAL = 1.0
"""Seconds between those that are let through in spite of the figure."""

FOLLOWERS = 4
"""How many more are let through after one was in time: they and it are a fifth of what is looked at."""


class Feasible:
    """How long one operation takes at least, as a rule. Lock-free: a race may lose a sample or let one more through."""

    __slots__ = ("_credit", "_expected", "_last", "_samples", "_slowest", "_stale", "_tried", "_wanted")

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=LAST)
        self._expected = self._slowest = 0.0
        self._stale = False
        self._last = self._tried = -inf
        self._wanted = 0.0  # seconds that the last one had which should have been refused
        self._credit = 0

    def record(self, seconds: float, now: float) -> None:
        """One success took so long."""
        self._samples.append(seconds)
        self._stale = True
        if seconds > self._slowest:
            self._slowest = seconds
        self._last = now
        if seconds <= self._wanted:
            self._credit = FOLLOWERS
            self._wanted = 0.0

    def expected(self, now: float) -> float:
        """Seconds that four in five will take at least; 0.0 while too little is known."""
        if self._stale:
            self._stale = False
            samples = sorted(self._samples)
            self._slowest = samples[-1]
            self._expected = samples[len(samples) // 5] if len(samples) >= FEW else 0.0
        return self._expected * exp(min(0.0, self._last - now) / FADES) if self._expected else 0.0

    def allows(self, remaining: float, now: float) -> bool:
        """Whether one with so many seconds left should begin."""
        if self._slowest <= remaining:
            return True
        if self.expected(now) <= remaining:
            self._credit = 0
            return True
        if self._credit > 0:
            self._credit -= 1
        elif now - self._tried >= TRIAL:
            self._tried = now
        else:
            return False
        self._wanted = remaining
        return True

    def __repr__(self) -> str:
        return f"<Feasible: {len(self._samples)} samples>"
