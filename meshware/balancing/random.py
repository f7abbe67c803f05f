"""Random: each endpoint with the probability of its weight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker
from meshware.core.telling import Pick


class Random:
    """Takes no settings. The baseline that every other strategy must beat."""

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints."""
        return RandomPicker(endpoints)


class RandomPicker:
    """Immutable, so thread-safe."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._sums = list(accumulate(each.weight for each in endpoints))

    def pick(self, call: Call) -> Endpoint:
        """One draw."""
        drawn = call.rng.random() * self._sums[-1]
        return self._endpoints[min(bisect_right(self._sums, drawn), len(self._endpoints) - 1)]

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same: it is all chance, and takes nothing."""
        pick.fact(weights=self._sums[-1])
        return self.pick(call)
