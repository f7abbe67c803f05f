"""Ring hash: the endpoint whose mark on a circle comes next after the key's; ketama, as Envoy's ring_hash_lb.cc has it.

An endpoint more or fewer moves only the keys that it gets or had. Shares follow weights, as evenly as there are
marks. Same endpoints in the same order, same weights: the same picks as Envoy's with xxHash.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from math import ceil

from meshware.balancing.hashing import Hash, Hashing, Table
from meshware.core.endpoint import Endpoint

LARGEST = 8_388_608
"""Marks that a ring may have (as in Envoy)."""

LARGE = 131_072
"""Marks that it has at most unless told otherwise: Envoy's default, LARGEST, takes 20 s where one weight is tiny."""


class RingHash(Hashing):
    """`minimum_ring_size`, `maximum_ring_size`: marks on the ring, 1 to 8,388,608; more when weights differ much.

    `key`, `hash_balance_factor`: see Hashing. For caches on the other side; Maglev is more even, and moves more.
    """

    def __init__(
        self,
        *,
        key: object = "path",
        minimum_ring_size: int = 1024,
        maximum_ring_size: int = LARGE,
        hash_balance_factor: float | None = None,
    ) -> None:
        super().__init__(key=key, hash_balance_factor=hash_balance_factor)
        sizes = {"minimum_ring_size": minimum_ring_size, "maximum_ring_size": maximum_ring_size}
        for name, size in sizes.items():
            if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= LARGEST:
                raise ValueError(f"{name} must be a whole number from 1 to {LARGEST}, not {size!r}")
        if minimum_ring_size > maximum_ring_size:
            raise ValueError(
                f"minimum_ring_size must be at most maximum_ring_size ({maximum_ring_size}), not {minimum_ring_size}"
            )
        self._sizes = minimum_ring_size, maximum_ring_size

    def table(self, endpoints: Sequence[Endpoint], shares: Sequence[float]) -> Table:
        """The ring."""
        least, (minimum, maximum) = min(shares), self._sizes
        scale = min(ceil(least * minimum) / least, float(maximum))  # the least gets a whole number of marks
        return Ring(endpoints, [scale * share for share in shares], self.hash).at


class Ring:
    """Marks in order, and whose they are. `counts`: marks of each endpoint, whole only in sum."""

    def __init__(self, endpoints: Sequence[Endpoint], counts: Sequence[float], hashed: Hash) -> None:
        marks: list[tuple[int, int]] = []
        target = 0.0
        for place, (endpoint, count) in enumerate(zip(endpoints, counts, strict=True)):
            target += count
            fresh = range(max(ceil(target) - len(marks), 0))
            marks += [(hashed(f"{endpoint.address}_{number}".encode()), place) for number in fresh]
        marks.sort()
        self._marks = array("Q", [mark for mark, _ in marks])
        self._owners = [endpoints[place] for _, place in marks]

    def at(self, hashed: int, attempt: int) -> Endpoint:
        """The owner of the next mark from there on, or of one of those after it."""
        return self._owners[(bisect_left(self._marks, hashed) + attempt) % len(self._owners)]
