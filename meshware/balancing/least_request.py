"""Least request: of a few random choices, the one with the least in flight per weight.

Power of two choices (Mitzenmacher 2001); Envoy's LEAST_REQUEST. Alone it takes a fast failure for an idle
endpoint: ejection is what keeps it from a sinkhole.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import inf
from typing import Any

from meshware.balancing.chooser import checked_choices
from meshware.balancing.draw import Draw, by_weight
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Meter, Picker
from meshware.core.telling import Pick

LARGEST_BIAS = 10.0


class LeastRequest:
    """`choices`: how many endpoints are drawn, 2 or more; 2 is the classic. `full_scan`: all of them, ties by lot.

    `active_request_bias`: how much what is in flight counts beside the weight, above 0 to 10; with 2 an endpoint of
    four times the weight has twice as much in flight. Envoy's 0 is `round_robin`.
    """

    needs: tuple[Meter, ...] = ()

    def __init__(self, *, choices: int = 2, active_request_bias: float = 1.0, full_scan: bool = False) -> None:
        bias = active_request_bias
        if isinstance(bias, bool) or not isinstance(bias, int | float) or not 0 < bias <= LARGEST_BIAS:
            raise ValueError(
                f"active_request_bias must be a number above 0 and at most {LARGEST_BIAS:g}, not {bias!r} "
                "(0 in Envoy: round_robin)"
            )
        if not isinstance(full_scan, bool):
            raise ValueError(f"full_scan must be true or false, not {full_scan!r}")
        self._choices = checked_choices(choices)
        self._bias = bias
        self._scan = full_scan

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints."""
        draw = (lambda rng: endpoints) if self._scan else by_weight(endpoints, self._choices)
        return LeastRequestPicker(draw, self._bias)

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """For who combines it: Envoy's weight / (in flight + 1)^bias, turned over."""
        score: float = (max(endpoint.load, 0.0) + 1) ** self._bias / endpoint.weight
        return score


class LeastRequestPicker:
    """The least busy of the drawn, ties by lot. Immutable, so thread-safe.

    Envoy adds 1 to what is in flight. Here the drawing knows of the weights: of idle ones the heavy would win always.
    """

    def __init__(self, draw: Draw[Any], bias: float) -> None:
        self._draw = draw
        self._bias = bias

    def pick(self, call: Call) -> Any:
        """One of the drawn."""
        rng, bias = call.rng, self._bias
        least, ties = inf, 0
        for endpoint in self._draw(rng):
            busy = (endpoint.load if bias == 1 else biased(endpoint.load, bias)) / endpoint.weight
            if busy < least:
                best, least, ties = endpoint, busy, 1
            elif busy == least:
                ties += 1
                if rng.random() * ties < 1:
                    best = endpoint
        return best

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told."""
        told = copy(self)
        told._draw = lambda rng: (Seen(each, self._bias, pick) for each in self._draw(rng))
        endpoint: Endpoint = told.pick(call).endpoint
        return endpoint


def biased(load: float, bias: float) -> float:
    """What is in flight, as it counts: of bias 1 it is itself."""
    counts: float = max(load, 0.0) ** bias
    return counts


class Seen:
    """An endpoint as a call that is told of sees it."""

    __slots__ = ("endpoint", "load", "weight")

    def __init__(self, endpoint: Endpoint, bias: float, pick: Pick) -> None:
        self.endpoint, self.load, self.weight = endpoint, endpoint.load, endpoint.weight
        busy = biased(self.load, bias) / self.weight
        pick.candidate(endpoint, busy, in_flight=self.load, weight=self.weight, bias=bias)
