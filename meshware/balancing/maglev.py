"""Maglev: a key's place in a table that endpoints have filled in turn, each in an order of its own.

Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4, with weights
as Envoy's maglev_lb.cc has them. More even than a ring and found in one step; an endpoint more or fewer moves a few
keys of the others' too. Same endpoints, same weights: the same picks as Envoy's.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapreplace

from meshware.balancing.bounded import prime
from meshware.balancing.hashing import Hash, Hashing, Table
from meshware.core.endpoint import Endpoint

LARGEST = 5_000_011
"""Places that a table may have (as in Envoy)."""

MASK = 2**64 - 1


class Maglev(Hashing):
    """`table_size`: a prime from 2 to 5,000,011, at best 1,000 times the number of endpoints.

    `key`, `hash_balance_factor`: see Hashing. For keys that should be spread evenly: sessions, shards, caches.
    """

    def __init__(
        self, *, key: object = "path", table_size: int = 65_537, hash_balance_factor: float | None = None
    ) -> None:
        super().__init__(key=key, hash_balance_factor=hash_balance_factor)
        whole = isinstance(table_size, int) and not isinstance(table_size, bool)
        if not whole or not 2 <= table_size <= LARGEST or not prime(table_size):
            raise ValueError(f"table_size must be a prime from 2 to {LARGEST}, not {table_size!r}")
        self._size = table_size

    def table(self, endpoints: Sequence[Endpoint], shares: Sequence[float]) -> Table:
        """The table, filled."""
        most = max(shares)
        rows = sorted(zip(endpoints, shares, strict=True), key=lambda row: row[0].address)
        entries = [Entry(endpoint, share, size=self._size, hashed=self.hash) for endpoint, share in rows]
        places: list[Endpoint | None] = [None] * self._size
        turns = [(1, number) for number in range(len(entries))]
        for _ in places:
            turn, number = turns[0]
            entries[number].take(places)
            heapreplace(turns, (entries[number].after(turn, most), number))
        return Places([each for each in places if each is not None]).at


class Entry:
    """An endpoint that fills its places: where it is, how far it steps, and what it is due."""

    def __init__(self, endpoint: Endpoint, share: float, *, size: int, hashed: Hash) -> None:
        self.endpoint = endpoint
        self._share = share
        self._due = 0.0
        self._place = hashed(endpoint.address.encode()) % size
        self._step = hashed(endpoint.address.encode(), 1) % (size - 1) + 1

    def take(self, places: list[Endpoint | None]) -> None:
        """The next place in this endpoint's order that is free; there must be one."""
        place, step, size = self._place, self._step, len(places)
        while places[place] is not None:
            place = (place + step) % size
        places[place] = self.endpoint
        self._place = place

    def after(self, turn: int, most: float) -> int:
        """Its next turn: the first whose number times its share is at least what it is due, rounded as in Envoy."""
        self._due += most
        turn = max(turn + 1, int(self._due / self._share))
        while turn * self._share < self._due:
            turn += 1
        return turn


class Places:
    """A full table."""

    def __init__(self, places: Sequence[Endpoint]) -> None:
        self._places = places

    def at(self, hashed: int, attempt: int) -> Endpoint:
        """The endpoint of a hash; for a further attempt that of another hash, far off."""
        return self._places[(hashed ^ (-attempt & MASK)) % len(self._places)]
