"""Availability: the one owner of "may this endpoint be picked".

Whoever has a reason against an endpoint bars it here, and lifts only its own bar. An endpoint without
a bar is available; the healthy path reads one empty dict. WARMING is the mildest: picked, but less.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import inf
from types import MappingProxyType


class Bar(Enum):
    """A reason not to pick an endpoint; the value is what status and errors show."""

    REMOVED = "removed"
    DRAINED = "drained"
    EJECTED = "ejected"
    UNHEALTHY = "unhealthy"
    OVERLOADED = "asked to wait"
    HELD = "held by hand"
    WEIGHTLESS = "weight 0"
    WARMING = "warming up"


NO_DETAILS: Mapping[Bar, str] = MappingProxyType({})


class Availability:
    """The bars on one endpoint, each with the monotonic time at which it falls by itself (inf: never).

    Thread-safe: each method is one dict operation on what it changes.
    """

    __slots__ = ("bars", "details", "warm_from")

    def __init__(self) -> None:
        self.bars: dict[Bar, float] = {}
        self.details: Mapping[Bar, str] = NO_DETAILS
        self.warm_from = 0.0

    def bar(self, bar: Bar, until: float = inf, detail: str = "") -> None:
        """Keep the endpoint from being picked until the time given, or until lifted."""
        self.details = {**self.details, bar: detail}
        self.bars[bar] = until

    def lift(self, bar: Bar) -> bool:
        """Take one's own bar away; False when it was not there."""
        return self.bars.pop(bar, None) is not None

    def warm(self, now: float, seconds: float) -> None:
        """Come back slowly: the share grows linearly over so many seconds."""
        self.warm_from = now
        self.bars[Bar.WARMING] = now + seconds

    def available(self, now: float) -> bool:
        """Whether it may be picked now. A bar whose time has passed stays until `expire`, so that one can see it."""
        if not self.bars:
            return True
        return not any(until > now and bar is not Bar.WARMING for bar, until in tuple(self.bars.items()))

    def until(self, now: float) -> float:
        """When it may be picked as far as is known: `now`, or when its last bar falls (inf: not by itself)."""
        return max([now, *(until for bar, until in tuple(self.bars.items()) if bar is not Bar.WARMING)])

    def expire(self, now: float) -> None:
        """Drop the bars whose time has passed: only for who makes the picker anew right after."""
        for bar, until in tuple(self.bars.items()):
            if until <= now:
                self.bars.pop(bar, None)

    def warmth(self, now: float, floor: float) -> float:
        """The share of its fair traffic that it should get now: `floor` to 1.0."""
        until = self.bars.get(Bar.WARMING)
        if until is None or until <= now:
            return 1.0
        return max(floor, (now - self.warm_from) / (until - self.warm_from))

    def state(self) -> str:
        """One line for people: "available", or each reason with its detail."""
        said = [
            f"{bar.value} ({detail})" if (detail := self.details.get(bar)) else bar.value for bar in tuple(self.bars)
        ]
        return ", ".join(said) or "available"
