"""Hedging: when a second copy of a call goes out beside the first, and how many may.

Dean and Barroso, "The Tail at Scale" (2013): a copy once the first has waited for longer than most take. Of few calls
only, since in an outage every call waits long; each copy is paid from the retry budget beside that. What is late may
be heavy, so a copy is reckoned at the time after which it goes out: they add no more than their share to the load.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshware.core.call import Call

ENOUGH = 100
"""Samples of an operation before its p95 says when a call is late."""

BURST = 10.0
"""Copies at once at most, however many calls had none."""


@dataclass(frozen=True, slots=True)
class HedgeOptions:
    """`factor` times the operation's p95, at least `least` seconds; for `share` of the calls' time at most."""

    factor: float = 1.5
    least: float = 0.01
    share: float = 0.02
    methods: frozenset[str] = frozenset({"GET", "HEAD"})


class Hedging:
    """The hedges of one service. Thread-safe."""

    def __init__(self, options: HedgeOptions) -> None:
        self._options = options
        self._credit = 0.0
        self._lock = Lock()

    def delay(self, call: Call, now: float) -> float | None:
        """Seconds after which a copy may go out; None for a call that has none."""
        late = self._late(call, now)
        if late is None:
            return None
        if self._credit < BURST:
            with self._lock:
                self._credit = min(BURST, self._credit + self._options.share * call.figures.recent / late)
        return late if late > self._options.least else self._options.least

    def foreseen(self, call: Call, now: float) -> float | None:
        """The same, where nothing is counted."""
        late = self._late(call, now)
        return None if late is None else max(late, self._options.least)

    def _late(self, call: Call, now: float) -> float | None:
        """Seconds after which such a call is late."""
        if call.request.method not in self._options.methods:
            return None
        pace = call.figures.sure(ENOUGH, now)
        return None if pace is None else self._options.factor * pace

    def take(self) -> bool:
        """Take one of the copies that the calls so far allow, if there is one."""
        with self._lock:
            if self._credit < 1.0:
                return False
            self._credit -= 1.0
            return True

    def give_back(self) -> None:
        """It was never sent."""
        with self._lock:
            self._credit += 1.0
