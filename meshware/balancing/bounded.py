"""Bounded load: no endpoint gets much more than its share, however popular its keys are.

Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads" (arXiv 1608.01350), and random jumps in
place of the neighbour (arXiv 1908.08762), as in Envoy's BoundedLoadHashingLoadBalancer. What is in flight is counted
by this process for itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from math import ceil, isqrt

from meshware.balancing.key import open_to
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.telling import Pick

RECOUNTS = 16
"""Counts of what is in flight while as many calls ask as there are endpoints: it is wrong by 1/16 a head at most."""


class Bound:
    """`factor`: the most that an endpoint may have, in percent of its share. Thread-safe: its count is statistical."""

    def __init__(self, endpoints: Sequence[Endpoint], shares: Sequence[float], factor: float) -> None:
        self._endpoints = endpoints
        self._shares = dict(zip(endpoints, shares, strict=True))
        self._factor = factor / 100
        self._span = next(number for number in count(max(len(endpoints), 2)) if prime(number))
        self._pace = max(len(endpoints) // RECOUNTS, 1)
        self._asked = 0
        self._total = 0.0

    def within(self, endpoint: Endpoint, hashed: int, call: Call, told: Pick | None = None) -> Endpoint:
        """This endpoint, or the first in the hash's order that is not over its bound; else the one least over it."""
        if endpoint.load <= 1:
            return endpoint
        self._count()
        best, least = endpoint, self._pressure(endpoint, told)
        for other in self._jumps(hashed):
            if least <= 1:
                break
            pressure = self._pressure(other, told)
            if pressure < least and open_to(other, call):
                best, least = other, pressure
        return best

    def _count(self) -> None:
        if self._asked % self._pace == 0:
            self._total = sum(each.load for each in self._endpoints)
        self._asked += 1

    def _pressure(self, endpoint: Endpoint, told: Pick | None) -> float:
        share, load = self._shares.get(endpoint, 0.0), endpoint.load
        slots = max(ceil(ceil((self._total + 1) * self._factor) * share), 1)
        if told is not None:
            told.candidate(endpoint, load / slots, in_flight=load, slots=slots, share=share, total=self._total)
        return load / slots

    def _jumps(self, hashed: int) -> Iterator[Endpoint]:
        """All of them, in an order of this hash's own: equal steps around a circle of prime length."""
        step = 1 + (hashed >> 32) % (self._span - 1)
        for number in range(self._span):
            place = (hashed + number * step) % self._span
            if place < len(self._endpoints):
                yield self._endpoints[place]


def prime(number: int) -> bool:
    """Whether this whole number of at least 2 is a prime."""
    return all(number % divisor for divisor in range(2, isqrt(number) + 1))
