"""Round robin: each endpoint in turn, from a random start. Weights are honoured within one cycle.

Smooth weighted round robin (nginx, 2012), laid out once per change as a cycle of at most 1,024 turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker

LONGEST = 1024


class RoundRobin:
    """Takes no settings. Knows neither load nor speed: for equal endpoints and equal work."""

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over the cycle of these endpoints."""
        return RoundRobinPicker(_cycle(endpoints))


class RoundRobinPicker:
    """Thread-safe: the turn is taken by one C call."""

    def __init__(self, cycle: Sequence[Endpoint]) -> None:
        self._cycle = cycle
        self._turns = count()
        self._start: int | None = None

    def pick(self, call: Call) -> Endpoint:
        """The next in turn."""
        if self._start is None:
            self._start = int(call.rng.random() * len(self._cycle))
        return self._cycle[(self._start + next(self._turns)) % len(self._cycle)]


def _cycle(endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
    """The turns of one cycle, each endpoint as often as its weight says, spread out."""
    least = min((each.weight for each in endpoints if each.weight > 0), default=1.0)
    shares = [round(each.weight / least) for each in endpoints]
    total = sum(shares)
    if not 0 < total <= LONGEST or len(set(shares)) == 1:
        return endpoints
    credit = [0] * len(shares)
    turns = []
    for _ in range(total):
        credit = [have + share for have, share in zip(credit, shares, strict=True)]
        index = credit.index(max(credit))
        credit[index] -= total
        turns.append(endpoints[index])
    return turns
