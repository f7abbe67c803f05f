"""What endpoints say of themselves, in ORCA load reports, looked at before it is believed.

A report that makes no sense is refused: the meter raises, so the core tells of it (PluginFailed, one log line a
minute), and what was reported before stands until it expires. A meter's `reports` says how often endpoints are to be
asked: so many seconds after they were asked last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from meshware.balancing.meters import Averaged, Mean, positive
from meshware.core.outcome import LoadReport, Outcome, wrong_figure

EXPIRY = 180.0
"""Seconds after which a report is no report any more (gRPC A58: 3 min)."""


@dataclass(frozen=True)
class Reported:
    """An endpoint's latest report, for `window` seconds; its value is the utilisation, the fleet's mean without one."""

    window: float = EXPIRY
    reports: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        positive("window", self.window)

    def fleet(self) -> Mean:
        """The mean utilisation of all reports."""
        return Mean(self.window)

    def reading(self, fleet: Mean) -> ReportedReading:
        """A fresh reading, which feeds the fleet's mean too."""
        return ReportedReading(self.window, fleet)


class ReportedReading:
    """One endpoint's latest report. `since` is when the present row of reports began, without a gap of a window."""

    __slots__ = ("_fleet", "_kept", "_window")

    def __init__(self, window: float, fleet: Mean) -> None:
        self._window = window
        self._fleet = fleet
        self._kept: tuple[LoadReport | None, float, float] = (None, 0.0, 0.0)

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """Keep what this answer reports, if it does. Raises ValueError for what no endpoint can mean."""
        report = believed(outcome)
        if report is None or report.utilization is None:
            return
        since = self.since(now)
        self._kept = report, now, now if since is None else since
        self._fleet.add(report.utilization, now)

    def report(self, now: float) -> LoadReport | None:
        """The latest, None when it has expired."""
        report, at, _ = self._kept
        return report if now - at < self._window else None

    def since(self, now: float) -> float | None:
        """When the row of reports began that still goes on."""
        return self._kept[2] if self.report(now) is not None else None

    def value(self, now: float) -> float:
        """The utilisation; 0.0 while nobody has reported."""
        report = self.report(now)
        return self._fleet.value(now) if report is None else cast(float, report.utilization)

    def reset(self) -> None:
        """Forget everything."""
        self._kept = (None, 0.0, 0.0)


@dataclass(frozen=True)
class ReportedMean(Averaged):
    """The mean of one field of the load reports, not shrunk: who reports knows, but of one moment only."""

    field: str = "utilization"
    n0 = 0.0
    reports: ClassVar[float] = 0.0

    def figure(self, elapsed: float, failed: bool, outcome: Outcome) -> float | None:
        """What is reported. Raises ValueError for what no endpoint can mean."""
        figure: float | None = getattr(believed(outcome), self.field, None)
        return figure


@dataclass(frozen=True)
class MeanLoad(Averaged):
    """The plain mean of the loads that a strategy has the reading `take`, one for each request."""

    window: None = None

    def figure(self, elapsed: float, failed: bool, outcome: Outcome) -> None:
        """A sample does not know the load."""


def believed(outcome: Outcome) -> LoadReport | None:
    """The report of an answer. Raises ValueError unless all of it is finite, at least 0, and not beyond all measure."""
    report = outcome.report
    wrong = None if report is None else wrong_figure(report)
    if wrong is not None:
        raise ValueError(f"load report refused: {wrong}")
    return report
