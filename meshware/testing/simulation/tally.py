"""What the callers saw: how long each call took, what was lost, and who was asked, over time."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable

SLICE = 0.1
"""Seconds of one slice of the timeline."""


class Tally:
    """One contender's run. A lost call counts as the deadline."""

    def __init__(self, *, begin: float, deadline: float) -> None:
        self.begin = begin
        self.deadline = deadline
        self.times = array("d")
        self.waits = 0.0
        self.lost = self.refused = 0
        self.attempts: Counter[str] = Counter()
        self.slices: dict[int, Slice] = {}

    def asked(self, address: str, now: float) -> None:
        """An attempt was sent there."""
        if now >= self.begin:
            self.attempts[address] += 1
        self.slice(now).asked[address] += 1

    def done(self, began: float, now: float, *, good: bool, refused: bool = False) -> None:
        """A call that arrived at `began` is over."""
        seconds = now - began
        good = good and seconds <= self.deadline
        spent = seconds if good else self.deadline
        part = self.slice(began)
        part.times.append(spent)
        part.lost += not good
        if began >= self.begin:
            self.times.append(spent)
            self.lost += not good
            self.refused += refused

    def slice(self, time: float) -> Slice:
        """The part of the timeline that a moment belongs to."""
        number = int(time / SLICE)
        found = self.slices.get(number)
        if found is None:
            found = self.slices[number] = Slice()
        return found

    def quantile(self, share: float) -> float:
        """Seconds that so large a share of the calls stayed under."""
        return quantile(self.times, share)

    @property
    def mean(self) -> float:
        """Seconds, over all calls."""
        return sum(self.times) / len(self.times) if self.times else 0.0

    @property
    def lost_share(self) -> float:
        """Lost over all calls."""
        return self.lost / len(self.times) if self.times else 0.0

    def good_between(self, start: float, end: float) -> float:
        """Share of good calls among those that arrived then."""
        parts = [part for number, part in self.slices.items() if start <= number * SLICE + SLICE / 2 < end]
        total = sum(len(part.times) for part in parts)
        return 1 - sum(part.lost for part in parts) / total if total else 1.0

    def share(self, address: str) -> float:
        """Of all attempts, those sent there."""
        total = self.attempts.total()
        return self.attempts[address] / total if total else 0.0


class Slice:
    """A tenth of a second: calls that arrived in it, attempts that were sent in it."""

    __slots__ = ("asked", "lost", "times")

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.times = array("d")
        self.lost = 0


def quantile(times: Iterable[float], share: float) -> float:
    """What so large a share of them stays under; 0 of none."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
