"""Utilisation: shares by what endpoints say they could do, rps / (utilisation + eps / rps * penalty).

ORCA weighted round robin as in gRFC A58: its weights, blackout, expiry and pace. For callees that report load, and
for long calls and streams, of which in flight and response time tell little. It knows only what is reported.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from itertools import accumulate, count, pairwise
from math import isfinite

from meshware.balancing.chooser import ChooserPicker, in_flight
from meshware.balancing.draw import by_weight, upcoming
from meshware.balancing.meters import positive
from meshware.balancing.meters_reported import EXPIRY, Reported, ReportedMean, ReportedReading
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker
from meshware.core.telling import Pick

UPDATE = 1.0
"""Seconds between two looks at the reports."""

LEAST, MOST = 0.01, 10.0
"""Weights are kept between these multiples of their median: no report makes an endpoint everything, or nothing.

By their mean would not do: one endpoint that reports a million moves it as it likes.
"""

GOLDEN = 0.6180339887498949
"""Steps of this length spread over a circle most evenly, wherever they stop."""

CHOICES = 2
"""Endpoints drawn while the fleet guard holds: plain least request."""


class Utilization:
    """`error_penalty`: how much a failed request adds to the utilisation. `blackout`: seconds of reports before the
    first counts. `expiry`: seconds for which one counts. `window`: time constant of their mean, in seconds.

    The mean is no part of A58, whose servers report their CPU, a mean itself: requests in flight jump from answer to
    answer. An endpoint without a weight has the mean of the others'.
    """

    def __init__(
        self, *, error_penalty: float = 1.0, blackout: float = 10.0, expiry: float = EXPIRY, window: float = 5.0
    ) -> None:
        for name, value in (("error_penalty", error_penalty), ("blackout", blackout)):
            if isinstance(value, bool) or not isinstance(value, int | float) or not (isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be a finite number of at least 0, not {value!r}")
        positive("expiry", expiry)
        positive("window", window)
        self._penalty = error_penalty
        self._blackout = blackout
        self._reported = Reported(expiry)
        self._means = tuple(ReportedMean(window, field) for field in ("utilization", "rps", "eps"))

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; attaches the meters where they are missing."""
        for endpoint in endpoints:
            endpoint.attach(self._reported)
            for meter in self._means:
                endpoint.attach(meter)
        return UtilizationPicker(self, endpoints)

    def weight(self, endpoint: Endpoint, now: float) -> tuple[float, Mapping[str, float]]:
        """What it could do, in requests a second, and the reports that say so; 0.0: nothing is known."""
        reading = endpoint.readings[self._reported]
        assert isinstance(reading, ReportedReading)
        since = reading.since(now)
        if since is None or now - since < self._blackout:
            return 0.0, {}
        used, rps, eps = (endpoint.readings[meter].value(now) for meter in self._means)
        weight = rps / (used + eps / rps * self._penalty) if rps and used else 0.0
        terms = {"utilization": used, "rps": rps, "eps": eps, "error_penalty": self._penalty}
        return weight if isfinite(weight) else 0.0, terms


class UtilizationPicker:
    """Weights are looked at anew by the first call of each second; between, a pick is one search. Thread-safe."""

    def __init__(self, strategy: Utilization, endpoints: Sequence[Endpoint]) -> None:
        self._strategy = strategy
        self._endpoints = endpoints
        self._calm = ChooserPicker(in_flight, endpoints, by_weight(endpoints, CHOICES))
        self._turns: Iterator[int] = count()
        self._sums: Sequence[float] = ()
        self._reports: Sequence[tuple[float, Mapping[str, float]]] = ()
        self._start = self._due = 0.0

    def pick(self, call: Call, told: Pick | None = None) -> Endpoint:
        """The next in turn, each as often as its weight says. While the fleet guard holds, plain least request."""
        if call.service.guard.on:
            return self._calm.pick(call) if told is None else self._calm.explain(call, told)
        if not self._sums or call.now >= self._due:
            self._weigh(call)
        point = (self._start + next(self._turns) * GOLDEN) % 1.0
        if told is not None:
            self._tell(told, point)
        return self._endpoints[min(bisect_right(self._sums, point), len(self._endpoints) - 1)]

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told; an imagined call takes no turn."""
        picker = self
        if call.imagined:
            picker = copy(self)
            picker._turns = iter((upcoming(self._turns),))
        return picker.pick(call, pick)

    def _tell(self, pick: Pick, point: float) -> None:
        """Each endpoint's share, of the reports that were looked at last."""
        pick.fact(point=point)
        shares = [high - low for low, high in pairwise((0.0, *self._sums))]
        for endpoint, share, (known, terms) in zip(self._endpoints, shares, self._reports, strict=True):
            pick.candidate(endpoint, share, weight=endpoint.weight, reported=known, **terms)

    def _weigh(self, call: Call) -> None:
        self._due = call.now + UPDATE
        self._reports = [self._strategy.weight(endpoint, call.now) for endpoint in self._endpoints]
        known = [weight for weight, _ in self._reports]
        shares = [each.weight * share for each, share in zip(self._endpoints, _filled(known), strict=True)]
        total = sum(shares)
        self._start, self._turns = call.rng.random(), count()
        self._sums = [each / total for each in accumulate(shares)]


def _filled(weights: Sequence[float]) -> Sequence[float]:
    """Bounded; where nothing is known, the mean of what is; all alike while fewer than two are known (A58)."""
    known = sorted(each for each in weights if each)
    if len(known) < 2:
        return [1.0] * len(weights)
    middle = known[len(known) // 2]
    bounded = [min(max(each, LEAST * middle), MOST * middle) if each else 0.0 for each in weights]
    mean = sum(bounded) / len(known)
    return [each or mean for each in bounded]
