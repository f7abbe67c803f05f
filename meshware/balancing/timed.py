"""A strategy of somebody else's, held to the time that a pick may take; no paper, only patience.

A pick that blocks cannot be stopped. But it is blocked once: from then on, and for all who come while one
is inside for too long, the stand-in decides; a minute later the strategy has another chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from meshware.core.telling import Told

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Picker, Strategy
    from meshware.core.telling import Pick

SLOW = 1.0
"""Seconds in a pick that are no accident: a busy machine may hold a thread up for half of that."""

BENCHED = 60.0
"""Seconds for which a strategy that blocked is not asked."""


class TooSlow(Exception):
    """A pick took too long, or another one has just done so."""


class Timed:
    """The strategy, its picks timed by `clock`. Thread-safe."""

    def __init__(self, strategy: Strategy, clock: Callable[[], float]) -> None:
        self._strategy = strategy
        self._bench = Bench(clock)

    def picker(self, endpoints: Sequence[Endpoint]) -> TimedPicker:
        """A picker over these endpoints; what it takes counts against the strategy as a whole."""
        return TimedPicker(self._strategy.picker(endpoints), self._bench)


class Bench:
    """Who is inside a pick since when, and until when the strategy is not asked."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.until = float("-inf")
        self.inside: dict[object, float] = {}

    def enter(self, key: object) -> float:
        """The time; raises TooSlow while the strategy is benched, or one that went in has not come out for long."""
        now = self.clock()
        oldest = min(tuple(self.inside.values()), default=now) if self.inside else now
        if now - oldest > SLOW:
            self.until = max(self.until, now + BENCHED)
        if now < self.until:
            raise TooSlow(f"a pick blocked: not asked for another {self.until - now:.0f} s")
        self.inside[key] = now
        return now

    def leave(self, key: object, began: float) -> None:
        """Out again; raises TooSlow when that took too long."""
        self.inside.pop(key, None)
        now = self.clock()
        if now - began > SLOW:
            self.until = now + BENCHED
            raise TooSlow(f"a pick took {now - began:.1f} s: it must not block")


class TimedPicker:
    """A picker, timed."""

    def __init__(self, picker: Picker, bench: Bench) -> None:
        self._picker = picker
        self._bench = bench

    def pick(self, call: Call) -> Endpoint:
        """What it picks, in time."""
        return self._asked(self._picker, call)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told where it can; what is asked for an imagined call is not held against it."""
        told = Told(self._picker, pick)
        return told.pick(call) if call.imagined else self._asked(told, call)

    def _asked(self, picker: Picker, call: Call) -> Endpoint:
        key = object()
        began = self._bench.enter(key)
        try:
            return picker.pick(call)
        finally:
            self._bench.leave(key, began)
