"""Meters: what is measured of one endpoint, as hashable specifications and their readings.

Equal meters share one reading per endpoint, whichever strategies use them. A failure's response time
arrives with its penalty included, so that it is never a fast answer. Readings are statistical: single
assignments without a lock, a race may lose a sample. What endpoints report is in meters_reported.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import ClassVar

from meshware.core.outcome import Cause, Outcome
from meshware.core.policy import Reading

N0 = 2.0
"""Samples of the fleet's mean that every endpoint has before its own (shrinkage)."""


class Mean:
    """A mean whose figures fade with time constant `window` (seconds); None: all of them, for ever."""

    __slots__ = ("_kept", "_window")

    def __init__(self, window: float | None) -> None:
        self._window = window
        self._kept = (0.0, 0.0, 0.0)  # sum, weight, time: one assignment, so that they go together

    def add(self, figure: float, now: float) -> None:
        """One more."""
        total, weight = self.faded(now)
        self._kept = total + figure, weight + 1.0, now

    def faded(self, now: float) -> tuple[float, float]:
        """What is left of the sum and of the weight."""
        total, weight, then = self._kept
        keep = 1.0 if self._window is None else exp(min(0.0, then - now) / self._window)
        return total * keep, weight * keep

    def value(self, now: float) -> float:
        """The mean; 0.0 of nothing. Fading changes it only by what comes anew."""
        total, weight, _ = self._kept
        return total / weight if weight else 0.0

    def reset(self) -> None:
        """Forget everything."""
        self._kept = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Averaged:
    """A mean in which recent figures weigh more: time constant `window`, in seconds.

    Shrunk to the fleet: (sum w x + n0 fleet) / (sum w + n0). So an endpoint that nothing is known of, or nothing
    recent, is average: neither the best, which all would run to, nor what it once was, for ever. `window` None is the
    plain mean of all that ever was, and the fleet's while there is none.
    """

    window: float | None = 5.0
    n0: ClassVar[float] = N0

    def __post_init__(self) -> None:
        if self.window is not None:
            positive("window", self.window)

    def fleet(self) -> Mean:
        """The mean over all endpoints, each request counting once."""
        return Mean(self.window)

    def reading(self, fleet: Mean) -> AveragedReading:
        """A fresh reading, which feeds the fleet's mean too."""
        return AveragedReading(self, fleet)

    def figure(self, elapsed: float, failed: bool, outcome: Outcome) -> float | None:
        """What one sample says; None: nothing."""
        raise NotImplementedError


class AveragedReading(Mean):
    """One endpoint's mean beside its fleet's."""

    __slots__ = ("_meter", "_prior", "fleet")

    def __init__(self, meter: Averaged, fleet: Mean) -> None:
        super().__init__(meter.window)
        self._meter = meter
        self._prior = 0.0 if meter.window is None else meter.n0
        self.fleet = fleet

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """One answer or error."""
        figure = self._meter.figure(elapsed, failed, outcome)
        if figure is not None:
            self.take(figure, now)

    def take(self, figure: float, now: float) -> None:
        """One more figure, for the endpoint and the fleet."""
        self.add(figure, now)
        self.fleet.add(figure, now)

    def value(self, now: float) -> float:
        """The endpoint's mean, shrunk; 0.0 only while nothing is known of any endpoint, or all were 0."""
        return self.beside(self.fleet.value(now), now)

    def beside(self, typical: float, now: float) -> float:
        """The endpoint's mean in a fleet whose mean is `typical`."""
        if not self._prior:
            return super().value(now) if self._kept[1] else typical
        total, weight = self.faded(now)
        return (total + self._prior * typical) / (weight + self._prior)


class ResponseTime(Averaged):
    """Seconds spent waiting for the endpoint, until the end of its answer."""

    def figure(self, elapsed: float, failed: bool, outcome: Outcome) -> float:
        """As the core took it."""
        return elapsed


class FailureRate(Averaged):
    """Share of failed attempts. One that lost to a hedge was no failure, nor anything else."""

    def figure(self, elapsed: float, failed: bool, outcome: Outcome) -> float | None:
        """A one or a zero."""
        return None if outcome.cause is Cause.CUT else float(failed)


class Latency(Averaged):
    """The network's part: seconds to connect and to the first byte, less the service time that the callee reports.

    Without a report it is all of that, so callees should report alike. A failure counts whole, with its penalty.
    """

    reports: ClassVar[float] = 0.0

    def figure(self, elapsed: float, failed: bool, outcome: Outcome) -> float:
        """A report of more than the time it took is not believed."""
        if failed or outcome.cause is not None:
            return elapsed
        took = outcome.elapsed
        if outcome.first_byte is not None:
            took = outcome.first_byte + (outcome.connect or 0.0)
        served = outcome.report.service_time if outcome.report is not None else None
        return took - served if served is not None and 0.0 <= served <= took else took


@dataclass(frozen=True)
class PeakResponseTime:
    """Jumps to a longer response time at once, forgets it with time constant `tau` (seconds)."""

    tau: float = 10.0

    def __post_init__(self) -> None:
        positive("tau", self.tau)

    def fleet(self) -> None:
        """Each endpoint stands alone."""

    def reading(self, fleet: None) -> Reading:
        """A fresh reading."""
        return _Peak(self.tau)


class _Peak:
    """Peak EWMA as in Finagle: value(now) decays on reading too, so a bad endpoint is tried again."""

    __slots__ = ("_at", "_tau", "_value")

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self._value = self._at = 0.0

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        self._value = max(elapsed, self.value(now))
        self._at = now

    def value(self, now: float) -> float:
        return self._value * exp((self._at - now) / self._tau)

    def reset(self) -> None:
        self._value = self._at = 0.0


def positive(name: str, seconds: float) -> None:
    """Raises ValueError unless these are seconds to measure over."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
        raise ValueError(f"{name} must be a positive number of seconds, not {seconds!r}")
