"""What came of a cell, in figures. Nothing is timed here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fleets.scenario import Live

GOOD = 0.25
"""Seconds within which an answer is of use: what goodput counts."""


REFUSED = -1
"""In place of a status: not sent, by the contender's own choice."""


class Called(NamedTuple):
    """One call: its intended start in the run, seconds from it to the answer, its status, how late it was sent."""

    at: float
    elapsed: float
    status: int | None
    late: float

    @property
    def good(self) -> bool:
        """Whether it was answered well, however late."""
        return self.status is not None and 0 < self.status < 500


class Cell(NamedTuple):
    """What came of one contender in one scenario with one seed. Times in seconds, shares of 1."""

    calls: int
    p50: float
    p99: float
    p999: float
    """A lost call counts as the deadline, in all of them."""

    errors: int
    refused: int
    """Calls that the contender has not sent; no errors."""

    goodput: float
    """The share that was answered well within 250 ms."""

    shares: list[float]
    """Of all tries that the replicas saw, by replica."""

    tries: float
    """How many each call took."""

    cpu: float
    """Processors that were busy with this cell, all its processes together."""

    late: float
    """By how many seconds the 99th of 100 calls was sent late, or its work done late: the machine's doing."""


def summary(
    scenario: Live, calls: Sequence[Called], *, asked: Sequence[int], late: Sequence[float], cpu: float
) -> Cell:
    """The figures of a cell."""
    counted = [each for each in calls if each.at >= scenario.begin]
    times = sorted(min(each.elapsed, scenario.deadline) if each.good else scenario.deadline for each in counted)
    refused = sum(each.status == REFUSED for each in counted)
    return Cell(
        calls=len(counted),
        p50=quantile(times, 0.5),
        p99=quantile(times, 0.99),
        p999=quantile(times, 0.999),
        errors=sum(not each.good for each in counted) - refused,
        refused=refused,
        goodput=sum(each.good and each.elapsed <= GOOD for each in counted) / len(counted),
        shares=[each / max(1, sum(asked)) for each in asked],
        tries=sum(asked) / len(counted),
        cpu=cpu,
        late=max(quantile(sorted(late), 0.99), quantile(sorted(each.late for each in counted), 0.99)),
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of sorted figures; 0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
