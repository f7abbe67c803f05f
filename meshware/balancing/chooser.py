"""The generic chooser: any Scorer becomes a strategy. It draws a few endpoints and takes the least score.

Power of d choices (Mitzenmacher 2001): the least of all would be everybody's choice at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from math import inf, isfinite
from typing import Any

from meshware.balancing.draw import Draw, evenly
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker, Scorer, Strategy
from meshware.core.telling import Pick

Score = Callable[[Endpoint, Call], float]
Terms = Callable[[Endpoint, Call], tuple[float, Mapping[str, float]]]
"""A score, and what it is made of."""


class Chooser:
    """`choices`: endpoints drawn per call, 2 or more; 4 is near the best at any fleet size.

    The scorer is asked whatever happens, and may use `endpoint.weight` as it likes: it may know what we do not.
    """

    def __init__(self, scorer: Scorer, *, choices: int = 4) -> None:
        self._scorer = scorer
        self._choices = checked_choices(choices)

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; attaches the meters that the scorer needs."""
        attach(self._scorer, endpoints)
        terms: Terms | None = getattr(self._scorer, "terms", None)
        return ChooserPicker(self._scorer.score, endpoints, evenly(endpoints, self._choices), terms=terms)


class ChooserPicker:
    """The least score among the drawn; of equals the one with less in flight per weight, then by lot.

    Scores less than `near` apart, as a share, are equal. `guarded` scores instead while the fleet guard holds. What
    the call has tried is passed over, so that a retry goes to the best of the others. `terms` scores where it is told.
    Immutable; as thread-safe as its scorer.
    """

    def __init__(
        self,
        score: Score,
        endpoints: Sequence[Endpoint],
        draw: Draw[Endpoint],
        *,
        near: float = 0.0,
        guarded: Score | None = None,
        terms: Terms | None = None,
    ) -> None:
        self._score = score
        self._guarded = guarded or score
        self._terms = terms
        self._endpoints = endpoints
        self._draw = draw
        self._near = 1.0 + near

    def pick(self, call: Call) -> Endpoint:
        """One of the drawn. ValueError for a score that is none."""
        best, least, ties = None, inf, 1
        if len(self._endpoints) == 1:
            return self._endpoints[0]
        score = self._guarded if call.service.guard.on else self._score
        for endpoint in self._draw(call.rng):
            if endpoint in call.tried:
                continue
            found = checked(score(endpoint, call), endpoint)
            if best is None or found * self._near < least:
                best, least, ties = endpoint, found, 1
            elif found <= least * self._near:
                more = endpoint.load / endpoint.weight - best.load / best.weight
                ties = 1 if more < 0 else ties + (more == 0)
                if more < 0 or (more == 0 and call.rng.random() * ties < 1):
                    best, least = endpoint, found
        return best or self._untried(call)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told: who was looked at, and how they scored."""
        told = copy(self)
        told._score = told_by(self._score, self._terms, pick)
        told._guarded = told._score if self._guarded is self._score else told_by(self._guarded, None, pick)
        pick.fact(near=self._near - 1.0)
        return told.pick(call)

    def _untried(self, call: Call) -> Endpoint:
        """For a retry for which only what it has tried was drawn: any other."""
        first = int(call.rng.random() * len(self._endpoints))
        row = (self._endpoints[number] for number in range(first - len(self._endpoints), first))
        return next((each for each in row if each not in call.tried), self._endpoints[first])


class FullScanPicker:
    """The least score of all, ties to the first: what a formula says, and in use everybody's choice at once.

    Immutable; as thread-safe as its scorer. Costs as much as there are endpoints.
    """

    def __init__(self, score: Score, endpoints: Sequence[Endpoint], terms: Terms | None = None) -> None:
        self._score = score
        self._guarded: Score = in_flight
        self._endpoints = endpoints
        self._terms = terms

    def pick(self, call: Call) -> Endpoint:
        """The first of the least. ValueError for a score that is none."""
        score = self._guarded if call.service.guard.on else self._score
        return min(self._endpoints, key=lambda each: (each in call.tried, checked(score(each, call), each)))

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told."""
        told = copy(self)
        told._score, told._guarded = told_by(self._score, self._terms, pick), told_by(in_flight, None, pick)
        return told.pick(call)


def told_by(score: Score, terms: Terms | None, pick: Pick) -> Score:
    """The score, told with its terms where it has any, and with what decides between equals."""

    def told(endpoint: Endpoint, call: Call) -> float:
        found, made_of = (score(endpoint, call), {}) if terms is None else terms(endpoint, call)
        pick.candidate(endpoint, found, **{"in_flight": endpoint.load, "weight": endpoint.weight, **made_of})
        return found

    return told


def in_flight(endpoint: Endpoint, call: Call) -> float:
    """Plain least request, as a score."""
    return endpoint.load / endpoint.weight


def checked(score: float, endpoint: Endpoint) -> float:
    """The score, when it is one; else ValueError."""
    if not score >= 0 or not isfinite(score):
        raise ValueError(f"score of {endpoint.address} must be finite and at least 0, not {score!r}")
    return score


def checked_choices(choices: int) -> int:
    """A number of endpoints to draw; else ValueError."""
    if isinstance(choices, bool) or not isinstance(choices, int) or choices < 2:
        raise ValueError(f"choices must be a whole number from 2 on, not {choices!r}")
    return choices


def attach(scorer: Scorer, endpoints: Sequence[Endpoint]) -> None:
    """Have these endpoints measured as the scorer needs it."""
    for endpoint in endpoints:
        for meter in scorer.needs:
            endpoint.attach(meter)


def as_strategy(made: Any) -> Strategy:
    """A strategy as it is; a mere scorer under the generic chooser."""
    strategy: Strategy = made if hasattr(made, "picker") else Chooser(made)
    return strategy
