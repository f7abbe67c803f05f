"""Peak EWMA, failure-penalised: the response time's decaying peak times what is in flight.

Finagle's P2C Peak EWMA (decay 10 s), with linkerd2-proxy's penalty of 2026: a failed attempt is fed to
the meter as a long response, so a fast failure never looks like a fast endpoint. An unmeasured endpoint
counts as the other candidate does. While the fleet guard holds, plain least request.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial

from meshware.balancing.draw import several, two
from meshware.balancing.meters import PeakResponseTime
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker, Reading
from meshware.core.telling import Pick

RETRY_CHOICES = 5
"""Endpoints that a retry looks at: two would often be the tried one and a stranger."""


class PeakEwma:
    """`tau`: the decay in seconds, 10 as in Finagle, Linkerd and Envoy."""

    def __init__(self, *, tau: float = 10.0) -> None:
        self._meter = PeakResponseTime(tau)

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; attaches the meter where it is missing."""
        return PeakEwmaPicker(endpoints, [endpoint.attach(self._meter) for endpoint in endpoints])


class PeakEwmaPicker:
    """Reads two endpoints per pick; immutable, so thread-safe."""

    def __init__(self, endpoints: Sequence[Endpoint], readings: Sequence[Reading]) -> None:
        self._endpoints = endpoints
        self._readings = readings
        self._count = len(endpoints)

    def pick(self, call: Call) -> Endpoint:
        """The cheaper of two random endpoints; a tie goes to the less loaded."""
        if self._count == 1:
            return self._endpoints[0]
        if call.tried:
            return self._another(call)
        here, there = two(self._count, call.rng)
        one, other = self._endpoints[here], self._endpoints[there]
        first, second = (one.load + 1) / one.weight, (other.load + 1) / other.weight
        if not call.service.guard.on:
            slow, slower = self._readings[here].value(call.now), self._readings[there].value(call.now)
            if slow and slower:
                first *= slow
                second *= slower
        return one if first <= second else other

    def _another(self, call: Call) -> Endpoint:
        """For a retry, the last chance of its call: the cheapest of a few that it has not tried."""
        drawn = several(range(self._count), RETRY_CHOICES, call.rng)
        return self._cheapest([each for each in drawn if self._endpoints[each] not in call.tried] or drawn, call)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told; written out in `pick` for the two that most calls look at."""
        told = copy(self)
        told._cost = partial(self._cost, pick=pick)  # type: ignore[method-assign]
        if self._count == 1 or call.tried:
            return told.pick(call)
        return told._cheapest(two(self._count, call.rng), call)

    def _cheapest(self, positions: Sequence[int], call: Call) -> Endpoint:
        slow = [self._readings[each].value(call.now) for each in positions]
        if call.service.guard.on or not all(slow):  # an unmeasured one is no better than the others
            slow = [1.0] * len(positions)
        costs = list(map(self._cost, positions, slow))
        return self._endpoints[positions[costs.index(min(costs))]]

    def _cost(self, position: int, slow: float, pick: Pick | None = None) -> float:
        endpoint = self._endpoints[position]
        load = endpoint.load
        cost = (load + 1) / endpoint.weight * slow
        if pick is not None:
            pick.candidate(endpoint, cost, in_flight=load, weight=endpoint.weight, peak=slow)
        return cost
