"""Failure rate: the least F_i = D_i / m_i, D_i the failures among endpoint i's own m_i requests.

In use only the excess over the fleet's rate counts: endpoints that fail no more than the rest are equal, and the
less busy is taken. Else one failure anywhere would put all others in an order that says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshware.balancing.measured import MeasuredMean
from meshware.balancing.meters import FailureRate
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint

PRICE = 300.0
"""What an endpoint that always fails costs, in requests to one that fails as all do."""


class LeastFailureRate(MeasuredMean):
    """`window`: time constant of forgetting, in seconds; None: the rate over all that ever was.

    `select` "argmin" takes the least rate itself, the excess or not.
    """

    def __init__(self, *, window: float | None = 5.0, choices: int = 4, select: str = "choices") -> None:
        super().__init__(FailureRate(window), choices=choices, select=select)

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """The price of its excess failures; literally, its rate."""
        return super().score(endpoint, call) if self._scan else self.ratio(endpoint, call)

    def ratio(self, endpoint: Endpoint, call: Call) -> float:
        """1 + 300 max(0, F_i - F)."""
        return _price(*self.means(endpoint, call))

    def terms(self, endpoint: Endpoint, call: Call) -> tuple[float, Mapping[str, float]]:
        """The price, of its rate and the fleet's; literally, the rate."""
        if self._scan:
            return super().terms(endpoint, call)
        rate, fleet = self.means(endpoint, call)
        return _price(rate, fleet), {"rate": rate, "fleet": fleet}


def _price(rate: float, fleet: float) -> float:
    return 1.0 + PRICE * max(0.0, rate - fleet)
