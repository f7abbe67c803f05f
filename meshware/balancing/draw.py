"""Drawing candidates at random without replacement and without building a list per call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from meshware.core.policy import Rng

T = TypeVar("T")


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
