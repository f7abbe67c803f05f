"""A strategy for meshware: of the endpoints drawn for a call, the one with the lowest price."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Meter


class Cheapest:
    """Prefers the endpoint whose metadata names the lowest price. `unknown`: the price of one that names none."""

    needs: tuple[Meter, ...] = ()

    def __init__(self, *, unknown: float = 1_000_000.0) -> None:
        if not unknown >= 0:
            raise ValueError(f"unknown must be a price, not {unknown!r}")
        self.unknown = unknown

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """The price; lower is better. Called for a few endpoints per call, on any thread: must not block."""
        return float(endpoint.metadata.get("price", self.unknown))
