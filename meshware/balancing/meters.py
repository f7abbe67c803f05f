"""Meters: response time and failure rate of one endpoint, as hashable specifications and their readings.

Equal meters share one reading per endpoint, whichever strategies use them. A failure's response time
arrives with its penalty included, so no reading needs to know of failures but FailureRate.
Readings are statistical: single assignments without a lock, a race may lose a sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from meshware.core.outcome import Outcome
from meshware.core.policy import Reading


@dataclass(frozen=True)
class PeakResponseTime:
    """Jumps to a longer response time at once, forgets it with time constant `tau` (seconds)."""

    tau: float = 10.0

    def __post_init__(self) -> None:
        _positive("tau", self.tau)

    def fleet(self) -> None:
        """Each endpoint stands alone."""

    def reading(self, fleet: None) -> Reading:
        """A fresh reading."""
        return _Peak(self.tau)


@dataclass(frozen=True)
class ResponseTime:
    """Mean response time, recent ones weighing more: time constant `window` (seconds)."""

    window: float = 10.0

    def __post_init__(self) -> None:
        _positive("window", self.window)

    def fleet(self) -> None:
        """Each endpoint stands alone."""

    def reading(self, fleet: None) -> Reading:
        """A fresh reading."""
        return _Mean(self.window)


@dataclass(frozen=True)
class FailureRate:
    """Share of failed attempts, recent ones weighing more: time constant `window` (seconds)."""

    window: float = 5.0

    def __post_init__(self) -> None:
        _positive("window", self.window)

    def fleet(self) -> None:
        """Each endpoint stands alone."""

    def reading(self, fleet: None) -> Reading:
        """A fresh reading."""
        return _Failures(self.window)


class _Peak:
    """Peak EWMA as in Finagle: value(now) decays on reading too, so a bad endpoint is tried again."""

    __slots__ = ("_at", "_tau", "_value")

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self._value = self._at = 0.0

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        decayed = self._value * exp((self._at - now) / self._tau)
        self._value = elapsed if elapsed > decayed else decayed
        self._at = now

    def value(self, now: float) -> float:
        return self._value * exp((self._at - now) / self._tau)

    def reset(self) -> None:
        self._value = self._at = 0.0


class _Mean:
    """A weighted mean whose weights fade with age."""

    __slots__ = ("_at", "_sum", "_tau", "_weight")

    def __init__(self, tau: float) -> None:
        self._tau = tau
        self._sum = self._weight = self._at = 0.0

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        keep = exp(-max(0.0, now - self._at) / self._tau)
        self._sum = self._sum * keep + elapsed
        self._weight = self._weight * keep + 1
        self._at = now

    def value(self, now: float) -> float:
        return self._sum / self._weight if self._weight else 0.0

    def reset(self) -> None:
        self._sum = self._weight = self._at = 0.0


class _Failures(_Mean):
    """The same mean, of ones and zeros."""

    __slots__ = ()

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        super().sample(float(failed), failed, outcome, now)


def _positive(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number of seconds, not {value!r}")
