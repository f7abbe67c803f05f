"""Load: the least L_i. Literally sum_j B_ij / m_i, B_ij the load on endpoint i while it handled request j.

B is the utilisation that the callee reports, or without a report the requests in flight there. A mean of the past
is no load of the present: in use it is what is in flight per weight now, times the utilisation last reported. An
endpoint that reports none counts as the fleet's mean, so that those who report and those who do not compare.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshware.balancing.measured import Measured
from meshware.balancing.meters import AveragedReading
from meshware.balancing.meters_reported import MeanLoad, Reported, believed
from meshware.core.call import Attempt, Call
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Outcome

IDLE = 0.1
"""The least utilisation that makes a difference: nobody is ten times better for having nothing to do."""

MEAN = MeanLoad()


class LeastLoad(Measured):
    """`window`: seconds for which a reported utilisation counts; None: the mean load of all requests ever."""

    def __init__(self, *, window: float | None = 5.0, choices: int = 4, select: str = "choices") -> None:
        super().__init__(choices=choices, select=select)
        self._meter = MEAN if window is None else Reported(window)
        self.needs = (self._meter,)
        self.parts = (LoadSamples(),) if window is None else ()

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """The present load, or the mean of all."""
        figure = endpoint.readings[self._meter].value(call.now)
        return figure if self._meter is MEAN else _present(endpoint.load, endpoint.weight, figure)

    def terms(self, endpoint: Endpoint, call: Call) -> tuple[float, Mapping[str, float]]:
        """What is in flight per weight, and the utilisation; or the mean."""
        figure = endpoint.readings[self._meter].value(call.now)
        if self._meter is MEAN:
            return figure, {"mean": figure}
        load, weight = endpoint.load, endpoint.weight
        return _present(load, weight, figure), {"in_flight": load, "weight": weight, "utilization": figure}


def _present(load: float, weight: float, utilization: float) -> float:
    return (1.0 + load / weight) * max(utilization, IDLE)


class LoadSamples:
    """A part of the strategy that is told of answers: adds the load at each to the mean of its endpoint."""

    def on_answer(self, call: Call, attempt: Attempt, outcome: Outcome, step: object, now: float) -> None:
        """What is reported, else what is in flight with this request. Raises ValueError for an absurd report."""
        endpoint, report = attempt.endpoint, believed(outcome)
        own = endpoint.load + (outcome.cause is not None)  # one without an answer has left already
        reading = endpoint.readings.get(MEAN)
        if isinstance(reading, AveragedReading):
            reading.take(own if report is None or report.utilization is None else report.utilization, now)
