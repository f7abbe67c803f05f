"""The generic chooser: any Scorer becomes a strategy. It draws a few endpoints and takes the least score."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import Any

from meshware.balancing.draw import several
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker, Scorer, Strategy


class Chooser:
    """`choices`: endpoints drawn per call, 2 or more; 4 is near the best at any fleet size."""

    def __init__(self, scorer: Scorer, *, choices: int = 4) -> None:
        if isinstance(choices, bool) or not isinstance(choices, int) or choices < 2:
            raise ValueError(f"choices must be a whole number from 2 on, not {choices!r}")
        self._scorer = scorer
        self._choices = choices

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; attaches the meters that the scorer needs."""
        for endpoint in endpoints:
            for meter in self._scorer.needs:
                endpoint.attach(meter)
        return ChooserPicker(self._scorer, endpoints, self._choices)


class ChooserPicker:
    """Immutable; as thread-safe as its scorer."""

    def __init__(self, scorer: Scorer, endpoints: Sequence[Endpoint], choices: int) -> None:
        self._scorer = scorer
        self._endpoints = endpoints
        self._choices = choices

    def pick(self, call: Call) -> Endpoint:
        """The least score among the drawn; ties are drawn lots for. ValueError for a score that is none."""
        endpoints = self._endpoints
        best, least, ties = endpoints[0], inf, 1
        if len(endpoints) == 1:
            return best
        for endpoint in several(endpoints, self._choices, call.rng):
            score = self._score(endpoint, call)
            if score < least:
                best, least, ties = endpoint, score, 1
            elif score == least:
                ties += 1
                if call.rng.random() * ties < 1:
                    best = endpoint
        return best

    def _score(self, endpoint: Endpoint, call: Call) -> float:
        score = self._scorer.score(endpoint, call)
        if not score >= 0 or not isfinite(score):
            raise ValueError(f"score of {endpoint.address} must be finite and at least 0, not {score!r}")
        return score


def as_strategy(made: Any) -> Strategy:
    """A strategy as it is; a mere scorer under the generic chooser."""
    strategy: Strategy = made if hasattr(made, "picker") else Chooser(made)
    return strategy
