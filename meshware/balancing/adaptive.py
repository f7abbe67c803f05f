"""Adaptive, the default: of a few random endpoints the one where the request is expected to cost least.

Its expected time there, by what is in flight, and the price of failing there (expected_cost.py). An attempt
that is overdue speaks for its endpoint before its timeout does. While the fleet guard holds, plain least
request: in an overload, who chases the one endpoint that has just recovered keeps it down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from math import inf
from typing import Any, Self, cast

from meshware.balancing.chooser import checked_choices
from meshware.balancing.draw import by_weight
from meshware.balancing.expected_cost import Cost, ExpectedCost, Fleet
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Rng
from meshware.core.telling import Pick

BUSY = range(4)
"""Where the best of the drawn has something in flight, as many are drawn once more, and again while it has no more than
one: among endpoints that can do one request at a time, what counts is to find an idle one."""

ONCE = range(1)
"""Where all of them are drawn."""


class Adaptive:
    """`choices`: endpoints drawn per call, 2 or more; 4 is near the best at any fleet size. `probe_ahead`: the next
    call's candidates are asked how busy they are (probing.py), by the `prober` that assembly puts here.
    """

    def __init__(self, *, choices: int = 4, probe_ahead: bool = False) -> None:
        if not isinstance(probe_ahead, bool):
            raise ValueError(f"probe_ahead must be true or false, not {probe_ahead!r}")
        self._choices = checked_choices(choices)
        self.probes = probe_ahead
        self.prober: Any = None
        self.meter = ExpectedCost() if not probe_ahead else probing().ProbedExpectedCost()

    def picker(self, endpoints: Sequence[Endpoint]) -> AdaptivePicker:
        """A picker over these endpoints; attaches the meter where it is missing."""
        if self.prober is None:
            return picker_of(self.meter, endpoints, self._choices)
        made: AdaptivePicker = probing().probing_picker(self.meter, endpoints, self._choices, self.prober.ask)
        return made


def probing() -> Any:
    """The room of what only some use, and which is built on this one."""
    from meshware.balancing import probing

    return probing


def picker_of(meter: ExpectedCost, endpoints: Sequence[Endpoint], choices: int) -> AdaptivePicker:
    """A picker by the readings of this meter."""
    seats = meter.seated(endpoints)
    plain = AdaptivePicker if endpoints[0].cells is None else SharingPicker
    kind = plain if seats.even else WeightedPicker
    return kind(seats.costs, cast(Fleet, endpoints[0].fleet[meter]), choices)


class AdaptivePicker:
    """Draws one endpoint from each of a few strata, so never one twice. Immutable, so thread-safe."""

    always_careful = False

    def __init__(self, costs: Sequence[Cost], fleet: Fleet, choices: int) -> None:
        count = min(choices, len(costs))
        strata = [(row, float(len(row))) for row in (costs[start::count] for start in range(count))]
        orders = [strata[first:] + strata[:first] for first in range(count)]
        self._orders = (orders * -(-len(costs) // count))[: len(costs)]  # of equals the first drawn is taken
        self._times = BUSY if len(costs) > count else ONCE
        self._count = float(len(costs))  # floats, since a random number is multiplied by them
        self.fleet = fleet

    def pick(self, call: Call) -> Endpoint:
        """The least expected cost among the drawn."""
        if call.tried or call.service.guard.on:
            return self._careful(call)
        random, now = call.rng.random, call.now
        least = inf
        order = self._orders[int(random() * self._count)]
        for again in self._times:
            for row, count in order:
                cost = row[int(random() * count)]
                if now >= cost.due:
                    cost.renew(now)
                total = cost.idle
                if cost.open:
                    total += cost.step * len(cost.open)
                if total < least:
                    least, best = total, cost
            if not best.open or (again and len(best.open) > 1):
                break
        endpoint = best.endpoint
        if endpoint.waiting and oldest(endpoint, now, self.fleet.queue.slope) > self.fleet.overdue:
            return self._careful(call)
        return endpoint

    def drawn(self, rng: Rng) -> Iterable[Cost]:
        """The candidates of one call."""
        order = self._orders[int(rng.random() * self._count)]
        return (row[int(rng.random() * count)] for row, count in order)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told."""
        return self.told(call, pick).pick(call)

    def told(self, call: Call, pick: Pick) -> Self:
        """One that picks for this call only, and tells what it looks at."""
        told, careful = copy(self), bool(self.always_careful or call.tried or call.service.guard.on)
        looked: dict[Cost, Cost] = {}

        def seen(cost: Cost) -> Cost:
            if careful:  # who then looks closely tells it himself
                return still(cost, call)
            if cost in looked:
                return looked[cost]
            live = still(cost, call)
            if call.now >= live.due:
                live.renew(call.now)
            looked[cost] = frozen = copy(live)  # other threads go on
            frozen.due, frozen.open = inf, range(len(live.open))  # type: ignore[assignment]
            load = self._found(frozen)
            pick.candidate(cost.endpoint, frozen.total(load), **frozen.terms(load))
            return frozen

        def look_closely(call: Call) -> Endpoint:
            nonlocal careful
            if not careful:
                careful = True
                pick.anew("an attempt at the best is overdue")
            return AdaptivePicker._careful(told, call, pick)

        told.see(seen)
        told._careful = look_closely  # type: ignore[assignment,method-assign]
        return told

    def see(self, seen: Callable[[Cost], Cost]) -> None:
        """Have what is drawn be seen on its way."""
        orders = self._orders
        self._orders = Orders(orders, seen)  # type: ignore[assignment]

    def _found(self, cost: Cost) -> float:
        return len(cost.open)

    def _careful(self, call: Call, pick: Pick | None = None) -> Endpoint:
        """The same with all that is rare: an overdue attempt, a stream, a retry, the fleet guard."""
        least = inf
        for cost in self.drawn(call.rng):
            total = inf if cost.endpoint in call.tried else self._full(cost, call, pick)
            if total < least:
                least, best = total, cost.endpoint
        return cost.endpoint if least == inf else best

    def _full(self, cost: Cost, call: Call, pick: Pick | None = None) -> float:
        endpoint, now = cost.endpoint, call.now
        load = endpoint.load
        if call.service.guard.on:
            total = load * cost.share
            if pick is not None:
                pick.candidate(endpoint, total, in_flight=load, share=cost.share)
            return total
        if now >= cost.due:
            cost.renew(now)
        fleet = self.fleet
        pace, slope = fleet.pace, fleet.queue.slope
        age = oldest(endpoint, now, slope)
        late = age - cost.pace if age > fleet.overdue and age > cost.pace else 0.0
        total = cost.total(load) + late / pace * (1 + slope * load * cost.share)
        if pick is not None:
            pick.candidate(endpoint, total, **cost.terms(load), late=late, fleet_now=pace, slope_now=slope)
        return total


class SharingPicker(AdaptivePicker):
    """The same where workers of a host tell each other what they have in flight: it is added up for the drawn.

    Written out once more, since every pick of those who do not share would have to ask.
    """

    def pick(self, call: Call) -> Endpoint:
        """The least expected cost among the drawn."""
        if call.tried or call.service.guard.on:
            return self._careful(call)
        random, now = call.rng.random, call.now
        least, best, busy = inf, None, 0.0
        order = self._orders[int(random() * self._count)]
        for again in self._times:
            for row, count in order:
                cost = row[int(random() * count)]
                if now >= cost.due:
                    cost.renew(now)
                if cost.idle < least:  # else no sum could make it the best
                    cells = cost.endpoint.cells
                    found = len(cost.open) if cells is None else sum(cells)
                    total = cost.idle + cost.step * found
                    if total < least:
                        least, best, busy = total, cost, found
            if not busy or (again and busy > 1):
                break
        if best is None:
            return self._careful(call)
        endpoint = best.endpoint
        if endpoint.waiting and oldest(endpoint, now, self.fleet.queue.slope) > self.fleet.overdue:
            return self._careful(call)
        return endpoint

    def _found(self, cost: Cost) -> float:
        cells = cost.endpoint.cells
        return len(cost.open) if cells is None else sum(cells)


class WeightedPicker(AdaptivePicker):
    """The same where weights differ: who is heavier is drawn more often."""

    always_careful = True

    def __init__(self, costs: Sequence[Cost], fleet: Fleet, choices: int) -> None:
        super().__init__(costs, fleet, choices)
        self._draw = by_weight(costs, choices)

    def see(self, seen: Callable[[Cost], Cost]) -> None:
        """Have what is drawn be seen on its way."""
        draw = self._draw
        self._draw = lambda rng: map(seen, draw(rng))

    def drawn(self, rng: Rng) -> Iterable[Cost]:
        """The candidates of one call."""
        return self._draw(rng)

    def pick(self, call: Call) -> Endpoint:
        """The least expected cost among the drawn."""
        return self._careful(call)


class Orders:
    """Rows of costs, of which each that is looked at is seen on its way."""

    def __init__(self, orders: Sequence[Sequence[tuple[Sequence[Cost], float]]], seen: Callable[[Cost], Cost]) -> None:
        self._orders = orders
        self._seen = seen

    def __getitem__(self, place: int) -> list[tuple[Row, float]]:
        return [(Row(row, self._seen), count) for row, count in self._orders[place]]


class Row:
    """One of them."""

    def __init__(self, row: Sequence[Cost], seen: Callable[[Cost], Cost]) -> None:
        self._row = row
        self._seen = seen

    def __getitem__(self, place: int) -> Cost:
        return self._seen(self._row[place])


def still(cost: Cost, call: Call) -> Cost:
    """The cost as a told call may look at it: an imagined one at a copy, since looking reckons it anew."""
    return copy(cost) if call.imagined else cost


def oldest(endpoint: Endpoint, now: float, slope: float) -> float:
    """Seconds that the attempt without headers which began first has waited, as if it had found nothing in flight.

    Since the endpoint's last answer, if that came later: where others are answered, it is the request that is heavy.
    """
    for attempt, began in tuple(endpoint.waiting.items()):
        return (now - max(began, endpoint.answered)) / (1 + slope * attempt.found)
    return 0.0
