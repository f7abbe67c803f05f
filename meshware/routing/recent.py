"""What was counted of calls: in a step of a shift so far, and lately. Whose calls they are nothing here knows."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Counts(NamedTuple):
    """Calls that were decided; of those the ones that failed, were answered at all, and were answered too late."""

    calls: float = 0.0
    failed: float = 0.0
    answered: float = 0.0
    slow: float = 0.0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        calls, failed, answered, slow = self
        more, bad, given, late = other
        return Counts(calls + more, failed + bad, answered + given, slow + late)

    def less(self, other: Counts) -> Counts:
        """What is left without the other's."""
        calls, failed, answered, slow = self
        fewer, bad, given, late = other
        return Counts(calls - fewer, failed - bad, answered - given, slow - late)

    def plain(self) -> dict[str, int]:
        """For who asks how it goes."""
        return {"calls": int(self.calls), "failed": int(self.failed), "slow": int(self.slow)}


class Recent:
    """The last calls, `least` of them where there were so many. Not thread-safe.

    They come one by one or many at once, and go as they came, so there may be more: of many at once nobody knows which
    were the last.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._batches: deque[Counts] = deque()
        self.sum = Counts()

    def add(self, batch: Counts) -> None:
        """These are the last now."""
        self._batches.append(batch)
        self.sum = self.sum.plus(batch)
        while self.sum.calls - self._batches[0].calls >= self._least:
            self.sum = self.sum.less(self._batches.popleft())

    def clear(self) -> None:
        """There were none."""
        self._batches.clear()
        self.sum = Counts()
