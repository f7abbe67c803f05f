"""Peak EWMA, failure-penalised: the response time's decaying peak times what is in flight.

Finagle's P2C Peak EWMA (decay 10 s), with linkerd2-proxy's penalty of 2026: a failed attempt is fed to
the meter as a long response, so a fast failure never looks like a fast endpoint. An unmeasured endpoint
counts as the other candidate does. While the fleet guard holds, plain least request.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshware.balancing.draw import two
from meshware.balancing.least_request import least_request_cost
from meshware.balancing.meters import PeakResponseTime
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker, Reading


class PeakEwma:
    """`tau`: the decay in seconds, 10 as in Finagle, Linkerd and Envoy."""

    def __init__(self, *, tau: float = 10.0) -> None:
        self._meter = PeakResponseTime(tau)

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; attaches the meter where it is missing."""
        for endpoint in endpoints:
            endpoint.attach(self._meter)
        return PeakEwmaPicker(endpoints, self._meter)


class PeakEwmaPicker:
    """Reads two endpoints per pick; immutable, so thread-safe."""

    def __init__(self, endpoints: Sequence[Endpoint], meter: PeakResponseTime) -> None:
        self._endpoints = endpoints
        self._meter = meter

    def pick(self, call: Call) -> Endpoint:
        """The cheaper of two random endpoints; a tie goes to the less loaded."""
        if len(self._endpoints) == 1:
            return self._endpoints[0]
        one, other = two(self._endpoints, call.rng)
        first, second = least_request_cost(one), least_request_cost(other)
        if not call.service.guard.on:
            here: Reading = one.readings[self._meter]
            there: Reading = other.readings[self._meter]
            slow, slower = here.value(call.now), there.value(call.now)
            if slow and slower:
                first *= slow
                second *= slower
        return one if first <= second else other
