"""The simulation's time: a heap of what will happen, and a clock that jumps from one to the next."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any


class Events:
    """What will happen, in order of time; of two at the same moment, the one that was planned first."""

    __slots__ = ("_heap", "_numbers", "now")

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._heap: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._numbers = count()

    def at(self, time: float, deed: Callable[..., None], *facts: Any) -> None:
        """Have it happen then; at once, in its turn, when that time has passed."""
        heappush(self._heap, (time, next(self._numbers), deed, facts))

    def run(self, until: float) -> None:
        """Let it all happen until then."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            time, _, deed, facts = heappop(heap)
            if time > self.now:
                self.now = time
            deed(*facts)
        self.now = until
