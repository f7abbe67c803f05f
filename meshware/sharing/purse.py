"""One service's place on the board: its retry budget and its limit of calls in flight, summed over the host."""

from __future__ import annotations

from math import isfinite

from meshware.core.service import Service
from meshware.sharing.cells import Unusable
from meshware.sharing.layout import OF_SERVICES, WORKERS, start_of

MOST = 1e9
"""More tokens, calls or calls in flight than that nobody has."""


class Purse:
    """For the housekeeper only."""

    __slots__ = ("_floats", "_row", "service", "slot")

    def __init__(self, service: Service, floats: memoryview[float], *, slot: int, row: int) -> None:
        self.service = service
        self._floats = floats
        self.slot, self._row = slot, row

    def begin(self, high: int) -> None:
        """A worker that joins brings no tokens where there are some."""
        self.service.budget.join(sum(self._others("tokens", high)))

    def share(self, high: int) -> None:
        """Say what we have, and hear what the others have. Raises Unusable for nonsense."""
        budget, limiter = self.service.budget, self.service.limiter
        self._write("tokens", budget.tokens)
        self._write("calls", budget.calls)
        budget.others(sum(self._others("tokens", high)), sum(self._others("calls", high)))
        if limiter is not None:
            in_flight, limits = self._others("in_flight", high), self._others("limit", high)
            # who has nothing in flight learns nothing: what he once knew must not hold the others' limit where it was
            limiter.others(sum(in_flight), [each for each, busy in zip(limits, in_flight, strict=True) if busy > 0])
            self._write("in_flight", limiter.in_flight)
            self._write("limit", limiter.limit)

    def end(self) -> None:
        """We have nothing there any more."""
        self.alone()
        for name in OF_SERVICES:
            self._write(name, 0.0)

    def alone(self) -> None:
        """This worker's budget and limit are its own again."""
        self.service.budget.others(0.0, 0.0)
        if self.service.limiter is not None:
            self.service.limiter.others(0.0, [])

    def _others(self, name: str, high: int) -> list[float]:
        start = self._start(name)
        found = list(self._floats[start : start + high])
        found[self._row : self._row + 1] = []
        if not all(isfinite(each) and abs(each) < MOST for each in found):
            raise Unusable(f"nonsense is said of the {name} of {self.service.name}")
        return found

    def _start(self, name: str) -> int:
        return start_of(name) + self.slot * WORKERS

    def _write(self, name: str, figure: float) -> None:
        self._floats[self._start(name) + self._row] = figure
