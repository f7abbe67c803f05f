"""Levels: endpoints of one priority that are equally near, what they cost, and how much of their traffic moves on.

How much health there is says nothing of how much is needed, so what leaves a level follows its pressure: its
response times beside those of the next level, distance included (docs/decisions/0008-localities.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from meshware.balancing.meters import Latency, Mean
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.outcome import Outcome

WINDOW = 0.25
"""Time constant of what a level takes and answers at present (seconds)."""

ENOUGH = 5.0
"""Answers within the window that say something."""

FORGOTTEN = 60.0
"""Seconds in which the least that was ever measured is forgotten."""

DISTANCES = (0.0, 0.001, 0.03, 0.03, 0.03)
"""Seconds there and back while nothing is measured: same zone, same region, same cloud, another one, nobody knows."""

MARGIN = 0.5
"""A level may be dearer than the next by so much of what it takes when idle: zones are near, and noise is not load."""

GROWTH = 0.12
"""Share of the calls that a level gets more, per second and share of the next one's cost that it is cheaper."""

DRAINED, WORST = 0.3, 3.0
"""So much less is sent to it per unit of excess cost, to shorten its queues; of at most so many units."""

RETURNING = 0.5
"""Share of the calls that a level gets at first when it is back."""

ENTERED, KEPT = 0.05, 0.001
"""A level is entered once so large a share moves on; until it is left, at least so much goes there, to measure it."""

CALM = 3.0
"""Holds without pressure or loss after which a level is left: so little goes there by then that it can wait."""

LOOKED_AT = 256
"""Endpoints of a level whose queues are looked at."""

MOVED = 0.25
"""A measured distance that has changed by less than this share is as it was."""


class Key(NamedTuple):
    """Which level: priority first, then how far, then where."""

    priority: int
    rank: int
    place: Locality


def level_of(endpoint: Endpoint, home: Locality) -> Key:
    """The level of an endpoint, seen from home. Other zones are one level; farther away each region is one."""
    if not any(home):
        return Key(endpoint.priority, 0, Locality())
    shared = 0
    for ours, theirs in zip(home, endpoint.locality, strict=True):
        if not ours or ours != theirs:
            break
        shared += 1
    known = sum(map(bool, home))
    place = endpoint.locality if shared == 3 else Locality(*endpoint.locality[:2])
    rank = 0 if shared == known else 3 - shared if any(endpoint.locality) else 4
    return Key(endpoint.priority, rank, place)


class Floor(Mean):
    """A mean of the last moments, and the least that it has been: what the level takes with nothing to do."""

    __slots__ = ("least",)

    def __init__(self) -> None:
        super().__init__(WINDOW)
        self.least: float | None = None

    def settle(self, now: float, seconds: float) -> None:
        """Look again after so many seconds: the least falls at once and rises slowly."""
        total, weight = self.faded(now)
        if weight < ENOUGH:
            return
        mean = total / weight
        if self.least is None or mean < self.least:
            self.least = mean
        else:
            self.least += (mean - self.least) * min(1.0, seconds / FORGOTTEN)

    def rate(self, now: float) -> float:
        """Answers per second."""
        return self.faded(now)[1] / WINDOW


class Held:
    """A health that falls at once and rises later: after `hold` seconds, or twice the time that it was down."""

    __slots__ = ("_fell", "_hold", "_low", "value")

    def __init__(self, hold: float) -> None:
        self.value = 1.0
        self._hold = hold
        self._fell = self._low = 0.0

    def see(self, health: float, now: float) -> float:
        """What to act on, given what is so now."""
        if health < self.value:
            self._fell = now
        if health <= self.value:
            self.value, self._low = health, now
        elif now - self._low >= min(self._hold, 2.0 * (self._low - self._fell)):
            self.value = health
        return self.value


class Level:
    """One level of a service. It is its own meter: all of its endpoints feed one reading.

    An endpoint is in one level of each `owner`: the service has its levels, and each of its subsets.
    """

    def __init__(self, key: Key, *, hold: float, overprovisioning: float, owner: object = None) -> None:
        self.owner = owner
        self.key = key
        self.held = Held(hold)
        self.distance = 0.0  # not measured yet: the first to be tried of its rank
        self.spills = False
        self.used = False
        self._hold = hold
        self._overprovisioning = overprovisioning
        self._times = Floor()
        self._latency = Floor()
        self._looked_at: Sequence[Endpoint] = ()
        self._each = 1.0
        self._waiting = 0.0
        self._keeps = 1.0
        self._health = 1.0
        self._pressed = 0.0

    @property
    def name(self) -> str:
        """For people."""
        place = str(self.key.place) or "elsewhere"
        return f"{place} (priority {self.key.priority})" if self.key.priority else place

    # As a meter and its reading

    def fleet(self) -> None:
        """It shares nothing with other levels."""

    def reading(self, fleet: None) -> Level:
        """Itself."""
        return self

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """One answer or error of any of its endpoints."""
        self._times.add(elapsed if failed else outcome.elapsed, now)
        if not failed:
            self._latency.add(LATENCY.figure(elapsed, failed, outcome), now)

    def value(self, now: float) -> float:
        """Seconds to the headers, at present."""
        return self.cost(now) or 0.0

    def reset(self) -> None:
        """What one endpoint forgets says nothing of the others."""

    # As a level

    def take(self, usable: Sequence[Endpoint]) -> None:
        """These are its endpoints that may be used now."""
        for each in usable:
            each.attach(self)
            levels = [meter for meter in each.readings if isinstance(meter, Level) and meter.owner is self.owner]
            for other in levels:
                if other is not self:
                    each.detach(other)  # where it was before
        self._looked_at = tuple(usable[:: len(usable) // LOOKED_AT + 1])
        self._each = len(usable) / (len(self._looked_at) or 1)
        found = self._latency.least
        if found is not None and abs(found - self.distance) > MOVED * self.distance:
            self.distance = found

    def settle(self, now: float, seconds: float) -> None:
        """Learn from the last so many seconds."""
        self._waiting = sum([len(each.waiting) for each in self._looked_at]) * self._each
        self._times.settle(now, seconds)
        self._latency.settle(now, seconds)

    def cost(self, now: float) -> float | None:
        """Seconds to the headers: half as measured, half by Little's law, which sees a queue before its answers do.

        Shrunk to the least that was measured, so that a few answers prove little; None when nothing is known.
        """
        least = self._times.least
        if least is None:
            return None
        total, weight = self._times.faded(now)
        return ((total + self._waiting * WINDOW) / 2 + ENOUGH * least) / (weight + ENOUGH)

    def press(self, onward: Level, health: float, *, arriving: float, now: float, seconds: float) -> float:
        """The share that moves on of what comes here, `arriving` calls per second; `seconds` since last asked.

        A loss of health moves on what Envoy would; then the pressure decides.
        """
        if health < self.held.value:
            self._keeps = min(self._keeps, health * self._overprovisioning)
        if self.held.see(health, now):
            leaving = self._overflow(self._excess(onward, now), arriving, now, seconds)
        else:
            leaving, self._keeps = 1.0, RETURNING
        if leaving > 0.0 or health < self._health:
            self._pressed = now
            self.spills = self.spills or leaving >= ENTERED
        elif now - self._pressed >= CALM * self._hold:
            self.spills = False
        self._health = health
        return max(leaving, KEPT) if self.spills else 0.0

    def _excess(self, onward: Level, now: float) -> float:
        """How much dearer it is than the next level, in what that costs; under 0: cheaper."""
        here, there, least = self.cost(now), onward.cost(now), self._times.least
        if here is None or least is None:
            return 0.0
        if there is None:
            there = least + DISTANCES[onward.key.rank] - DISTANCES[self.key.rank]
        limit = there + MARGIN * least
        return here / limit - 1.0 if limit > 0.0 else 0.0

    def _overflow(self, excess: float, arriving: float, now: float, seconds: float) -> float:
        """What a level answers well under pressure is what it can do; without pressure it may be able to do more."""
        if excess > 0.0:
            able = min(self._keeps, self._latency.rate(now) / arriving) if arriving else self._keeps
            self._keeps += min(1.0, excess) * (able - self._keeps) * min(1.0, seconds / WINDOW)
        else:
            self._keeps = min(1.0, self._keeps - GROWTH * excess * seconds)
        return 1.0 - self._keeps * (1.0 - DRAINED * min(WORST, max(0.0, excess)))


LATENCY = Latency()
