"""Outliers: endpoints whose success rate stands out from their fleet's (Envoy's success_rate_* rule).

Out goes who is below mean - k x standard deviation of the rates of all that had enough requests. Of n rates a single
one lies at most sqrt(n - 1) deviations below their mean, and where all others are perfect it lies exactly there: one
failure among a thousand answers would do. So nobody goes for fewer than FEW failures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import NamedTuple

from meshware.core.endpoint import Endpoint

FEW = 3
"""Failures below which nobody is an outlier, however good the others are."""


@dataclass(frozen=True, slots=True)
class OutlierOptions:
    """Standard deviations below the mean, and how much must be known: endpoints, and requests of each."""

    stdev: float = 1.9
    hosts: int = 5
    minimum: int = 100


class Found(NamedTuple):
    """An endpoint that should go, and why. A trial that takes longer than `over` seconds has failed."""

    endpoint: Endpoint
    reason: str
    over: float = float("inf")


def outliers(answers: Iterable[tuple[Endpoint, int, int]], options: OutlierOptions) -> list[Found]:
    """Those of these endpoints, each with its successes and failures, that stand out; the worst first."""
    rates = [(good / (good + bad), bad, each) for each, good, bad in answers if good + bad >= options.minimum]
    if len(rates) < options.hosts:
        return []
    values = [rate for rate, _, _ in rates]
    mean = sum(values) / len(values)
    least = mean - options.stdev * sqrt(sum((each - mean) ** 2 for each in values) / len(values))
    worst = sorted((one for one in rates if one[0] < least and one[1] >= FEW), key=lambda one: one[0])
    return [Found(each, f"{rate:.1%} succeeded, of the fleet {mean:.1%}") for rate, _, each in worst]
