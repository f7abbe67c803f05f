"""Probe-ahead: the next call's candidates are drawn now and asked now, and their answers used at the next pick.

What others have in flight at an endpoint is old within a few service times: piggybacked on answers it is worth little.
Asked ahead it is as old as the time between two calls. Its age counts all the same: it fades to what is usual in the
fleet within five service times. Nothing waits for an answer here; who asks is handed in (health/prober.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from math import exp, inf
from typing import cast

from meshware.balancing.adaptive import AdaptivePicker, WeightedPicker, oldest
from meshware.balancing.expected_cost import Cost, ExpectedCost, Fleet
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import LoadReport, sensible
from meshware.core.telling import Pick

Ask = Callable[[Sequence["ProbedCost"], float], None]

MEMORY = 5.0
"""Service times within which a queue is another one: time constant by which an answer fades to the fleet's mean."""

DRIFT = 0.05
"""Weight of one answer in that mean."""

CROWD = 1000.0
"""More than this others are not believed to have in flight at one endpoint."""

REST = 10.0
"""Seconds for which an endpoint that did not answer is left alone."""

AHEAD = 64
"""Draws that wait for their calls; there are more only where more calls are picked for at once."""


class ProbedFleet(Fleet):
    """And what others have in flight in the mean."""

    __slots__ = ("others",)

    def __init__(self) -> None:
        super().__init__()
        self.others = 0.0


class ProbedCost(Cost):
    """And what others have in flight here. `told` and `silent` are called by whoever has asked, on his thread."""

    __slots__ = ("_others", "_told_at", "asking", "rests")

    _fleet: ProbedFleet

    def reset(self) -> None:
        """As good as any other. Who is asking goes on."""
        super().reset()
        self._others, self._told_at = 0.0, -inf
        self.asking, self.rests = False, -inf

    def told(self, report: LoadReport, now: float) -> None:
        """The endpoint has answered: what is in flight there beside ours, its service time and its errors."""
        self.asking = False
        if report.queue is None or not sensible(report):
            self.silent(now)
            return
        fleet, others = self._fleet, max(0.0, min(CROWD, report.queue - self.endpoint.load))
        self._others, self._told_at = others, now
        fleet.others += DRIFT * (others - fleet.others)
        self.hear(report, now)

    def silent(self, now: float) -> None:
        """It has not answered, or not as a server of ours: it is not asked for a while."""
        self.asking = False
        self.rests = now + REST

    def others(self, now: float) -> float:
        """What others have in flight there now, as far as can be known."""
        usual = self._fleet.others
        return usual + (self._others - usual) * exp((self._told_at - now) / (MEMORY * self._fleet.pace))


class ProbedExpectedCost(ExpectedCost):
    """The meter of endpoints that are asked ahead."""

    def fleet(self) -> ProbedFleet:
        """What the endpoints share."""
        return ProbedFleet()

    def reading(self, fleet: Fleet) -> ProbedCost:
        """A fresh reading."""
        return ProbedCost(fleet)


class ProbingPicker(AdaptivePicker):
    """Picks among those that were drawn for this call at an earlier one. Thread-safe."""

    _ask: Ask
    _ahead: deque[tuple[ProbedCost, ...]]

    def asking(self, ask: Ask) -> ProbingPicker:
        """By this from now on."""
        self._ask = ask
        self._ahead = deque(maxlen=AHEAD)
        return self

    def pick(self, call: Call) -> Endpoint:
        """The least expected cost among the drawn, what others have in flight included."""
        if call.tried or call.service.guard.on:
            return self._careful(call)
        return self._least(self._turn(call), call)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told. Whom an imagined call would have asked for the next one is not asked."""
        told = self.told(call, pick)
        if call.tried or call.service.guard.on:
            return told._careful(call)
        if not call.imagined:
            return told._least(self._turn(call), call, pick)
        ahead = tuple(self._ahead)
        drawn = ahead[0] if ahead else cast("tuple[ProbedCost, ...]", tuple(self.drawn(call.rng)))
        return told._least(tuple(map(copy, drawn)), call, pick)

    def _least(self, drawn: Sequence[ProbedCost], call: Call, pick: Pick | None = None) -> Endpoint:
        now = call.now
        endpoint = min(drawn, key=lambda cost: _total(cost, now, pick)).endpoint
        if endpoint.waiting and oldest(endpoint, now, self.fleet.queue.slope) > self.fleet.overdue:
            return self._careful(call)
        return endpoint

    def _turn(self, call: Call) -> tuple[ProbedCost, ...]:
        """This call's candidates; the next one's are drawn and asked."""
        coming = cast("tuple[ProbedCost, ...]", tuple(self.drawn(call.rng)))
        self._ask(coming, call.now)
        try:
            drawn = self._ahead.popleft()
        except IndexError:  # the first call, or so many at once
            drawn = coming
        self._ahead.append(coming)
        return drawn


class WeightedProbingPicker(ProbingPicker, WeightedPicker):
    """The same where weights differ."""

    pick = ProbingPicker.pick


def _total(cost: ProbedCost, now: float, pick: Pick | None) -> float:
    if now >= cost.due:
        cost.renew(now)
    others = cost.others(now)
    load = cost.endpoint.load + others
    total = cost.total(load)
    if pick is not None:
        pick.candidate(cost.endpoint, total, **cost.terms(load), others=others)
    return total


def probing_picker(meter: ProbedExpectedCost, endpoints: Sequence[Endpoint], choices: int, ask: Ask) -> ProbingPicker:
    """A picker by the readings of this meter."""
    seats = meter.seated(endpoints)
    kind = ProbingPicker if seats.even else WeightedProbingPicker
    return kind(seats.costs, cast(Fleet, endpoints[0].fleet[meter]), choices).asking(ask)
