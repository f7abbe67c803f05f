"""Least request: of a few random choices, the one with the least in flight per weight.

Power of two choices (Mitzenmacher 2001); Envoy's LEAST_REQUEST with active-request bias 1. Alone it
takes a fast failure for an idle endpoint: ejection is what keeps it from a sinkhole.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshware.balancing.chooser import Chooser
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Meter, Picker


class LeastRequest:
    """`choices`: how many endpoints are drawn, 2 or more; 2 is the classic."""

    needs: tuple[Meter, ...] = ()

    def __init__(self, *, choices: int = 2) -> None:
        self.chooser = Chooser(self, choices=choices)

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints."""
        return self.chooser.picker(endpoints)

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """In flight, this request included, per weight."""
        return (endpoint.load + 1) / endpoint.weight
