"""How long an operation takes at an endpoint: a small model, learned as the answers come.

    log(seconds) = operation + endpoint + operation at this endpoint

An endpoint that happened to get the heavy report query is not slow, and one that is slow at reports only is
still good for the rest. The first two terms are running means; the third is kept in a table of fixed size by
hash (Weinberger et al., "Feature Hashing", 2009), counted by its significance. Statistical: no lock.
"""

from __future__ import annotations

from array import array
from math import exp, log
from zlib import crc32

from meshware.balancing.expected_cost import DOUBT, LATENCY_SPAN, LEAST, MOST, PRIOR, Cost
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Outcome

CELLS = 2048
"""Pairs of operation and endpoint that are told apart, more or less: 32 KiB a service."""

DRIFT = 0.02
"""Weight of one sample in an operation's mean and variance, and in the errors that decide on trust."""

ENOUGH = 100
"""Samples before the model is believed at all."""

FEW = 4
"""Samples of an operation before what is foretold of it is judged: the first is its own mean."""

BETTER = 0.9
"""Its squared error over that of a model without operations, under which it is believed."""

FAR = 9.0
"""The most that one squared error counts: three times the e-fold."""

STEADY = 0.03
"""An operation's variance is never taken for less: it would make any difference significant."""


class Usual:
    """What one operation takes, wherever it runs: mean and variance of the logarithm of seconds."""

    __slots__ = ("mark", "mean", "samples", "variance")

    def __init__(self, name: str, mean: float) -> None:
        self.mark = crc32(name.encode(errors="surrogateescape"))
        self.mean = mean
        self.variance = 1.0
        self.samples = 0

    def learn(self, latency: float, off: float) -> None:
        """So long it took, as at an endpoint like any other; `off` from what was expected there."""
        self.samples += 1
        weight = max(DRIFT, 1 / self.samples)
        self.mean += weight * (latency - self.mean)
        self.variance += max(DRIFT, 1 / (self.samples + 2)) * (min(off * off, FAR) - self.variance)

    @property
    def seconds(self) -> float:
        """Its geometric mean."""
        return exp(self.mean)


UNKNOWN = Usual("", 0.0)


class Beside(Cost):
    """An endpoint beside the others, in times of the operation: told by the strategy, which knows that."""

    __slots__ = ("mark",)

    mark: int

    def seat(self, endpoint: Endpoint, share: float) -> None:
        """It is this endpoint's."""
        super().seat(endpoint, share)
        self.mark = crc32(endpoint.address.encode())

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """Nothing: the core does not know what the operation usually takes."""

    def queued(self, outcome: Outcome) -> float:
        """Nothing: who waits behind a heavy operation and who behind a light one are not told apart."""
        return 0.0

    def tell(self, ratio: float, failed: bool, outcome: Outcome, now: float) -> None:
        """It took so many times of what the operation usually takes."""
        super().sample(ratio, failed, outcome, now)


class OperationModel:
    """What one service's operations take. Bounded: as many operations as the service tells apart."""

    def __init__(self) -> None:
        self._operations: dict[str, Usual] = {}
        self._means = array("f", bytes(4 * CELLS))
        self._weights = array("f", bytes(4 * CELLS))
        self._at = array("d", bytes(8 * CELLS))
        self._samples = 0
        self._error = self._error_without = 1.0
        self.trusted = False

    def usual(self, operation: str) -> Usual:
        """What it takes; UNKNOWN while it was never answered."""
        return self._operations.get(operation, UNKNOWN)

    def factor(self, operation: Usual, at: Beside, now: float) -> float:
        """What it takes there beyond what both are usually good for, as far as that is significant."""
        return exp(self._beyond(operation, at, now))

    def learn(self, name: str, seconds: float, at: Beside, without: float, outcome: Outcome, now: float) -> None:
        """A good answer took so long; `without` is what one would have expected who knows no operations."""
        latency = log(max(LEAST, seconds))
        operation = self._operations.get(name)
        if operation is None:
            operation = self._operations[name] = Usual(name, latency)
        usual, beside = operation.mean, log(at.pace)
        expected = usual + beside + self._beyond(operation, at, now)
        if operation.samples >= FEW:
            self._judge(latency - expected, latency - log(max(LEAST, without)))
        operation.learn(latency - beside, latency - expected)
        at.tell(exp(latency - usual), False, outcome, now)
        self._correct(operation, at, latency - usual - beside, now)

    def _beyond(self, operation: Usual, at: Beside, now: float) -> float:
        cell = (operation.mark ^ at.mark) % CELLS
        weight = self._weights[cell]
        if not weight:
            return 0.0
        weight *= exp((self._at[cell] - now) / LATENCY_SPAN)
        away = self._means[cell]
        significance = away * away * weight * weight / ((weight + PRIOR) * max(operation.variance, STEADY))
        return away - away * DOUBT / significance if significance > DOUBT else 0.0

    def _correct(self, operation: Usual, at: Beside, off: float, now: float) -> None:
        cell = (operation.mark ^ at.mark) % CELLS
        weight = min(MOST, self._weights[cell] * exp((self._at[cell] - now) / LATENCY_SPAN) + 1)
        self._means[cell] += (off - self._means[cell]) / weight
        self._weights[cell], self._at[cell] = weight, now

    def _judge(self, error: float, error_without: float) -> None:
        """The guard: while operations explain nothing, or no more, they are not listened to."""
        self._samples += 1
        self._error += DRIFT * (min(error * error, FAR) - self._error)
        self._error_without += DRIFT * (min(error_without * error_without, FAR) - self._error_without)
        self.trusted = self._samples > ENOUGH and self._error < BETTER * self._error_without
