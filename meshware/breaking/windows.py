"""What breakers count: rows of failures, and rates over a sliding window. Seconds are monotonic."""

from __future__ import annotations

BUCKETS = 10


class RateWindow:
    """Successes and failures of the last `seconds`, in ten buckets. The owner's lock guards it."""

    __slots__ = ("_at", "_failures", "_slot", "_successes", "_turn", "_width")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self.clear()

    def success(self, now: float) -> None:
        """One call succeeded."""
        if now >= self._turn:
            self._advance(now)
        self._successes[self._slot] += 1

    def failure(self, now: float) -> None:
        """One call failed."""
        if now >= self._turn:
            self._advance(now)
        self._failures[self._slot] += 1

    def add(self, good: int, bad: int, now: float) -> None:
        """So many at once."""
        if now >= self._turn:
            self._advance(now)
        self._successes[self._slot] += good
        self._failures[self._slot] += bad

    def take_back(self, now: float) -> None:
        """An earlier success was none after all."""
        self.failure(now)
        for age in range(BUCKETS):
            index = self._slot - age
            if self._successes[index]:
                self._successes[index] -= 1
                break

    def totals(self, now: float) -> tuple[int, int]:
        """Successes and failures."""
        self._advance(now)
        return sum(self._successes), sum(self._failures)

    def clear(self) -> None:
        """Forget everything."""
        self._at = self._slot = 0
        self._turn = 0.0  # when the next bucket begins
        self._successes, self._failures = [0] * BUCKETS, [0] * BUCKETS

    def _advance(self, now: float) -> None:
        bucket = int(now / self._width)
        self._turn = (bucket + 1) * self._width
        if bucket <= self._at:
            return
        for stale in range(max(self._at + 1, bucket - BUCKETS + 1), bucket + 1):
            self._successes[stale % BUCKETS] = self._failures[stale % BUCKETS] = 0
        self._at, self._slot = bucket, bucket % BUCKETS
