"""C3: the replica ranking of Suresh et al., "C3: Cutting Tail Latency in Cloud Data Stores via Adaptive Replica
Selection" (NSDI 2015): R - 1/mu + q^3/mu, with q = 1 + own in flight * clients + reported queue.

R is the response time and 1/mu the service time that the callee reports, the response time itself without a
report. The cube keeps clients from a queue long before it makes the fast replica slower than the next. The
paper scores all replicas of a key (three, say); here a few are drawn. Its rate control is not part of this.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshware.balancing.measured import Measured
from meshware.balancing.meters import ResponseTime
from meshware.balancing.meters_reported import Reported, ReportedMean, ReportedReading
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint

MOST_CLIENTS = 100_000


class C3(Measured):
    """`clients`: how many clients like this one share the fleet. `window`: time constant in seconds.

    A reported queue counts for `window` seconds. A failure is fed to R with its penalty, unlike in the paper, where
    an endpoint that fails fast gets all requests.
    """

    near = 0.1

    def __init__(self, *, clients: float = 1, window: float = 5.0, choices: int = 4, select: str = "choices") -> None:
        super().__init__(choices=choices, select=select)
        if isinstance(clients, bool) or not isinstance(clients, int | float) or not 1 <= clients <= MOST_CLIENTS:
            raise ValueError(f"clients must be a number from 1 to {MOST_CLIENTS}, not {clients!r}")
        self._clients = clients
        self._times = ResponseTime(window), ReportedMean(window, "service_time")
        self._reported = Reported(window)
        self.needs = (*self._times, self._reported)

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """Seconds, the queue's cube in service times included."""
        return _ranked(*self._figures(endpoint, call))

    def terms(self, endpoint: Endpoint, call: Call) -> tuple[float, Mapping[str, float]]:
        """R, 1/mu and q."""
        response, service, queue = self._figures(endpoint, call)
        return _ranked(response, service, queue), {"response_time": response, "service_time": service, "queue": queue}

    def _figures(self, endpoint: Endpoint, call: Call) -> tuple[float, float, float]:
        now, readings = call.now, endpoint.readings
        response, service = readings[self._times[0]].value(now), readings[self._times[1]].value(now)
        queue = 1.0 + endpoint.load / endpoint.weight * self._clients + self._queue(endpoint, now)
        return response, service or response, queue

    def _queue(self, endpoint: Endpoint, now: float) -> float:
        reading = endpoint.readings[self._reported]
        assert isinstance(reading, ReportedReading)
        report = reading.report(now)
        return 0.0 if report is None else report.queue or 0.0


def _ranked(response: float, service: float, queue: float) -> float:
    return response + (queue**3 - 1) * service
