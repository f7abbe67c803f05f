"""Combined: several strategies' scores as one, each beside what is usual in the fleet, and with a weight.

    score_i = (R_i/R)^wR * (L_i/L)^wL * (D_i/D)^wD * (1 + 300 max(0, F_i - F))^wF

A weighted geometric mean of ratios has no scale: seconds and requests can be multiplied, and twice as bad weighs
as much as half is good. `combine` "sum" adds the weighted ratios instead. The usual way, a sum of figures scaled
to the least and the most of the fleet, is not offered: it makes 0 and 1 of two endpoints that are 1 % apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from meshware.balancing.chooser import checked
from meshware.balancing.measured import Measured
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Scorer

DEFAULT = {"response_time": 1.0, "load": 1.0, "failure_rate": 1.0}
WINDOWED = ("response_time", "load", "failure_rate", "latency")
"""Strategies that get this one's window; any other has its own defaults."""

MOST = 1_000.0
"""No single ratio counts for more than this, nor for less than one part of it."""

PACE = 0.01
"""What one score weighs in the mean of those seen."""

Ratio = Callable[[Endpoint, Call], float]
Terms = Sequence[tuple[Ratio, float]]


class Combined(Measured):
    """`response_time=0.6, failure_rate=0.4`: strategies that have a `score`, and their weights.

    Once any is named, the others weigh nothing; only how the weights stand to each other matters. `combine`:
    "product" or "sum". `window`, in seconds, for the four of the formula. Raises ValueError for weights that are
    negative, not finite or all 0, and PluginError for a name that nobody brings.
    """

    composes = True

    def __init__(
        self,
        *,
        make: Callable[[Any], Any],
        combine: str = "product",
        window: float | None = 5.0,
        choices: int = 4,
        select: str = "choices",
        **weights: float,
    ) -> None:
        super().__init__(choices=choices, select=select)
        if combine not in _WAYS:
            raise ValueError(f"combine must be 'product' or 'sum', not {combine!r}")
        self._combine = _WAYS[combine]
        shares = _shares(weights or DEFAULT)
        made = {name: _part(make, name, window) for name in shares}
        self.parts = tuple(part for name, part in made.items() if shares[name])
        self.near = min(getattr(part, "near", 0.0) for part in self.parts)
        self.needs = tuple({meter: None for part in self.parts for meter in part.needs})
        self._named = tuple(name for name in made if shares[name])
        self._terms = tuple((_ratio(part), shares[name]) for name, part in made.items() if shares[name])

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """1 for an endpoint that is usual in all respects."""
        return self._combine(self._terms, endpoint, call)

    def terms(self, endpoint: Endpoint, call: Call) -> tuple[float, Mapping[str, float]]:
        """The ratio of each part, and the share that it weighs."""
        ratios = [_bounded(ratio(endpoint, call)) for ratio, _ in self._terms]
        shares = [share for _, share in self._terms]
        score = self._combine(list(zip(map(_known, ratios), shares, strict=True)), endpoint, call)
        told = dict(zip(self._named, ratios, strict=True))
        return score, told | {f"{name} share": share for name, share in zip(self._named, shares, strict=True)}


class Usual:
    """A scorer beside the mean of the scores that were seen of it: for those that know no fleet."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._mean = 0.0

    def ratio(self, endpoint: Endpoint, call: Call) -> float:
        """The score over that mean; 1.0 while all were 0. ValueError for a score that is none."""
        score = checked(self._scorer.score(endpoint, call), endpoint)
        usual = self._mean or score
        if not call.imagined:
            self._mean = usual + PACE * (min(score, 4 * usual) - usual)
        return score / usual if usual else 1.0


def _shares(weights: Mapping[str, Any]) -> dict[str, float]:
    """The weights, summing to 1."""
    for name, weight in weights.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not isfinite(weight) or weight < 0:
            raise ValueError(f"the weight of {name} must be a finite number of at least 0, not {weight!r}")
    most = max(weights.values())
    if most == 0:
        raise ValueError("at least one weight must be more than 0: with all of them 0 nothing decides")
    total = sum(weight / most for weight in weights.values())
    return {name: weight / most / total for name, weight in weights.items()}


def _part(make: Callable[[Any], Any], name: str, window: float | None) -> Any:
    made = make({name: {"window": window} if name in WINDOWED else {}})
    if not callable(getattr(made, "score", None)):
        raise ValueError(f"{name} has no score and cannot be combined")
    return made


def _ratio(part: Any) -> Ratio:
    """How a part stands beside its fleet: as it says itself, if it can."""
    own: Ratio | None = getattr(part, "ratio", None)
    return own or Usual(part).ratio


def _known(ratio: float) -> Ratio:
    return lambda endpoint, call: ratio


def _product(terms: Terms, endpoint: Endpoint, call: Call) -> float:
    product = 1.0
    for ratio, share in terms:
        product *= _bounded(ratio(endpoint, call)) ** share
    return product


def _sum(terms: Terms, endpoint: Endpoint, call: Call) -> float:
    total = 0.0
    for ratio, share in terms:
        total += _bounded(ratio(endpoint, call)) * share
    return total


def _bounded(ratio: float) -> float:
    return 1 / MOST if ratio < 1 / MOST else MOST if ratio > MOST else ratio


_WAYS = {"product": _product, "sum": _sum}
