"""Lateness: when we stood still ourselves, so that nobody else is blamed for it.

A beat that comes late tells it: of the process, or of one loop. Between the beats that were due and those that came,
nobody here could have heard of an answer.
"""

from __future__ import annotations

from math import inf

TOLERATED = 0.02
"""Seconds that a beat may be late without anybody being said to have stood still."""

REMEMBERED = 16
"""Standstills that are remembered: the last ones."""


class Lateness:
    """Told by whoever beats, read by calls. Thread-safe: one beats, and all updates are single assignments."""

    __slots__ = ("_stood", "ended", "overdue_at")

    def __init__(self) -> None:
        self._stood: tuple[tuple[float, float], ...] = ()
        self.ended = -inf  # when the last standstill was over
        self.overdue_at = inf  # after this, the beat that is due is late; inf: nobody beats

    def expect(self, due: float) -> None:
        """The next beat is due then (monotonic)."""
        self.overdue_at = due + TOLERATED

    def beat(self, now: float) -> None:
        """The beat has come; none is due until the next is expected."""
        overdue_at, self.overdue_at = self.overdue_at, inf
        if now > overdue_at:
            self._stood = (*self._stood[1 - REMEMBERED :], (overdue_at - TOLERATED, now))
            self.ended = now

    def since(self, began: float, now: float) -> float:
        """Seconds of those from `began` until `now` for which we stood still; the beat may not have come yet."""
        stood, overdue_at = 0.0, self.overdue_at
        if self.ended > began:
            for start, end in self._stood:
                stood += max(0.0, end - max(start, began))
        if now > overdue_at:
            stood += now - max(overdue_at - TOLERATED, began)
        return stood


PUNCTUAL = Lateness()
"""Of one whom nobody watches."""
