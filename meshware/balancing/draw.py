"""Drawing candidates at random, without building a list per call."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Protocol, TypeVar

from meshware.core.policy import Rng

T = TypeVar("T")
W = TypeVar("W", bound="Weighted")


class Weighted(Protocol):
    """What has a weight: an endpoint, or what is kept for one."""

    @property
    def weight(self) -> float:
        """Its share beside the others."""
        ...


Draw = Callable[[Rng], Iterable[T]]
"""The candidates of one call; made when the set of endpoints changes."""


def upcoming(turns: Iterator[int]) -> int:
    """What a count would give next: it says so nowhere but in its `repr`."""
    return int(repr(turns)[len("count(") : -1])


def two(count: int, rng: Rng) -> tuple[int, int]:
    """Two distinct positions of at least two: the second draw is shifted past the first (Mitzenmacher 2001)."""
    first = int(rng.random() * count)
    second = int(rng.random() * (count - 1))
    return first, second + (second >= first)


def several(items: Sequence[T], choices: int, rng: Rng) -> Sequence[T]:
    """So many distinct items, all when there are no more; Floyd's sampling (CACM 30:9, 1987)."""
    count = len(items)
    if count <= choices:
        return items
    chosen: list[int] = []
    for top in range(count - choices, count):
        drawn = int(rng.random() * (top + 1))
        chosen.append(top if drawn in chosen else drawn)
    return [items[index] for index in chosen]


def evenly(endpoints: Sequence[T], choices: int) -> Draw[T]:
    """Distinct endpoints, each as likely: the row is turned at random and cut in `choices` stretches, one from each."""
    count = len(endpoints)
    parts = min(choices, count)
    edges = [part * count // parts for part in range(parts + 1)]
    stretches = tuple((low - count, high - low) for low, high in pairwise(edges))

    def draw(rng: Rng) -> Iterator[T]:
        turned = int(rng.random() * count)
        for low, size in stretches:  # positions from -count to count - 2: a row needs no modulo
            yield endpoints[turned + low + int(rng.random() * size)]

    return draw


def by_weight(endpoints: Sequence[W], choices: int) -> Draw[W]:
    """The same over a row in which each endpoint is as long as its weight; a heavy one may be drawn repeatedly."""
    sums = list(accumulate(each.weight for each in endpoints))
    if len({each.weight for each in endpoints}) == 1:
        return evenly(endpoints, choices)
    last = len(endpoints) - 1

    def draw(rng: Rng) -> Iterator[W]:
        turned = rng.random()
        for part in range(choices):
            point = (turned + (part + rng.random()) / choices) % 1.0
            yield endpoints[min(bisect_right(sums, point * sums[-1]), last)]

    return draw
