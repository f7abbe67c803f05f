"""Round robin: each endpoint in turn, as often as its weight says, from a random start.

Equal weights: one row, and a turn is one C call. Others: earliest deadline first, as in Envoy's edf_scheduler.h and
gRFC A58: an endpoint's next turn is due 1 / weight after its last, so that turns are spread out. First turns are
drawn at random: else the workers of a host would all ask the same endpoint at once. Known by both names,
`round_robin` and `weighted_round_robin`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from heapq import heapify, heapreplace, nsmallest
from itertools import count
from threading import Lock

from meshware.balancing.draw import upcoming
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker, Rng
from meshware.core.telling import Pick

SHOWN = 5
"""Endpoints that are told: those whose turn is next."""


class RoundRobin:
    """Takes no settings. Knows neither load nor speed: for equal work, and endpoints as fast as they weigh."""

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints."""
        even = len({each.weight for each in endpoints}) == 1
        return InTurn(endpoints) if even else EarliestDeadline(endpoints)


class InTurn:
    """Thread-safe: the turn is taken by one C call."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._turns: Iterator[int] = count()
        self._start: int | None = None

    def pick(self, call: Call) -> Endpoint:
        """The next in turn."""
        if self._start is None:
            self._start = int(call.rng.random() * len(self._endpoints))
        return self._endpoints[(self._start + next(self._turns)) % len(self._endpoints)]

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told; an imagined call takes no turn."""
        told = copy(self)
        turn = upcoming(self._turns) if call.imagined else next(self._turns)
        told._turns = iter((turn,))
        endpoint = told.pick(call)
        if not call.imagined:
            self._start = told._start
        pick.fact(start=told._start, turn=turn, of=len(self._endpoints))
        return endpoint


class EarliestDeadline:
    """Thread-safe: a pick, O(log n), holds one lock. The first draws all first turns."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._periods = [1.0 / each.weight for each in endpoints]
        self._due: list[tuple[float, int]] = []
        self._lock = Lock()

    def pick(self, call: Call, told: Pick | None = None) -> Endpoint:
        """The one that is due first; its next turn is due a period later."""
        with self._lock:
            due = self._due or self._begin(call.rng)
            if told is not None:
                for at, place in nsmallest(SHOWN, due):
                    told.candidate(self._endpoints[place], at, period=self._periods[place])
            at, place = due[0]
            heapreplace(due, (at + self._periods[place], place))
        return self._endpoints[place]

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told; an imagined call takes no turn."""
        row = self
        if call.imagined:
            row = copy(self)
            row._due = self._due.copy()
        return row.pick(call, pick)

    def _begin(self, rng: Rng) -> list[tuple[float, int]]:
        """Each within its first period."""
        self._due = [(rng.random() * period, place) for place, period in enumerate(self._periods)]
        heapify(self._due)
        return self._due
