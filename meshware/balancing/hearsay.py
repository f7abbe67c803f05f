"""What endpoints say of themselves, as a prior: where a client knows little of its own, the servers know more.

A server learns its service time and its error rate from all its clients; one of 64 clients of 100 endpoints sees five
answers a second of each. So what it reports, beside what the others report, is where its judgement starts from, and
what the client sees itself moves it from there. It fades as the client's own samples do.

A report may be wrong, or a lie. So there is a limit to what one can do, whatever it says: see LEAN and DREAD.
"""

from __future__ import annotations

from math import exp, log

from meshware.core.outcome import LoadReport, sensible

LEAN = 0.7
"""Most that a report moves the logarithm of its endpoint's time: it looks twice as fast or as slow, and no more.

Two because that decides between endpoints with little in flight, and no longer where one has a queue.
"""

DREAD = 3.0
"""Most that a reported error rate adds to a cost, in the endpoint's times. With LEAN: eight times as dear, at most.

Who says that he fails is nearly left alone; what a client has seen fail itself is a hundred times as dear.
"""

NOTHING = 0.3
"""Logarithm of a ratio of service times under which they are alike: other requests, another second."""

LEAST = 1e-6
"""Seconds under which no service time is believed to be."""

FAR = 2.0
"""Most that one report counts off the mean of all, as a logarithm: one that is absurd does not make it so."""

DRIFT = 0.02
"""Weight of one report in the mean, once there are many."""


class FleetHearsay:
    """What the reports of all endpoints say in the mean: the logarithm of seconds, and the share of errors."""

    __slots__ = ("_failing_reports", "_time_reports", "failing", "time")

    def __init__(self) -> None:
        self.time = self.failing = 0.0
        self._time_reports = self._failing_reports = 0

    def add_time(self, time: float) -> None:
        """One more service time, as a logarithm."""
        self._time_reports += 1
        if self._time_reports == 1:
            self.time = time
        off = max(-FAR, min(FAR, time - self.time))
        self.time += max(DRIFT, 1 / self._time_reports) * off

    def add_failing(self, share: float) -> None:
        """One more share of errors."""
        self._failing_reports += 1
        self.failing += max(DRIFT, 1 / self._failing_reports) * (share - self.failing)


class Hearsay:
    """What one endpoint has said of itself last. Statistical, as all that is measured."""

    __slots__ = ("_failing", "_fleet", "_time")

    def __init__(self, fleet: FleetHearsay) -> None:
        self._fleet = fleet
        self._time: tuple[float, float] | None = None  # the logarithm of seconds, and when it was said
        self._failing: tuple[float, float] | None = None

    def hear(self, report: LoadReport, now: float) -> None:
        """One more report; one that makes no sense says nothing, nor does what an answer alone took."""
        if report.utilization is None or not sensible(report):
            return
        if report.service_time is not None and report.service_time > LEAST:
            time = log(report.service_time)
            self._time = time, now
            self._fleet.add_time(time)
        if report.rps > 0:
            share = min(1.0, report.eps / report.rps)
            self._failing = share, now
            self._fleet.add_failing(share)

    def lean(self, now: float, *, span: float) -> float:
        """Logarithm of how its time stands to the fleet's, from -LEAN to LEAN, fading with time constant `span`."""
        if self._time is None:
            return 0.0
        time, at = self._time
        off = time - self._fleet.time
        if -NOTHING <= off <= NOTHING:
            return 0.0
        return max(-LEAN, min(LEAN, off)) * exp((at - now) / span)

    def excess(self, now: float, usual: float, *, span: float) -> float:
        """Share of errors beyond what is `usual` and beyond the fleet's, fading likewise."""
        if self._failing is None:
            return 0.0
        share, at = self._failing
        beyond = share - max(usual, self._fleet.failing)
        return beyond * exp((at - now) / span) if beyond > 0 else 0.0
