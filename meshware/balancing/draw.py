"""Drawing candidates at random without replacement and without building a list per call."""

from __future__ import annotations

from collections.abc import Sequence

from meshware.core.endpoint import Endpoint
from meshware.core.policy import Rng


def two(count: int, rng: Rng) -> tuple[int, int]:
    """Two distinct positions of at least two: the second draw is shifted past the first (Mitzenmacher 2001)."""
    first = int(rng.random() * count)
    second = int(rng.random() * (count - 1))
    return first, second + (second >= first)


def several(endpoints: Sequence[Endpoint], choices: int, rng: Rng) -> Sequence[Endpoint]:
    """So many distinct endpoints, all when there are no more; Floyd's sampling (CACM 30:9, 1987)."""
    count = len(endpoints)
    if count <= choices:
        return endpoints
    chosen: list[int] = []
    for top in range(count - choices, count):
        drawn = int(rng.random() * (top + 1))
        chosen.append(top if drawn in chosen else drawn)
    return [endpoints[index] for index in chosen]
