"""Refusing by how long requests have waited before they reached us: CoDel, as servers use it.

A queue that is emptied now and then is no harm, however long it grew; one whose least wait stays above a target is
(Nichols and Jacobson, "Controlling Queue Delay", 2012). In a server what has waited long is refused while that lasts,
instead of one at growing intervals: Maurer, "Fail at Scale" (ACM Queue, 2015); folly's Codel, whose rules these are.

Waits come from two machines' clocks. What these differ by is in each wait alike, so the least wait of the last minutes
is taken off (the base delay of LEDBAT, RFC 6817): clocks that differ refuse nobody.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from math import inf

from meshware.core.criticality import Criticality

MINUTE = 60.0
MINUTES = 10
"""So many minutes' least waits are kept, of which the least is taken off."""


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """Seconds of wait that are no harm; seconds in which one request at least must have waited no longer."""

    target: float = 0.02
    interval: float = 0.1


class QueueAge:
    """What has waited is refused while all wait. Not thread-safe: called under the lock of who admits."""

    def __init__(self, options: QueueOptions) -> None:
        self._interval = options.interval
        self._target = options.target
        self._patience = {  # seconds that one may have waited while there is a queue
            Criticality.SHEDDABLE: options.target,
            Criticality.DEFAULT: 2 * options.target,
            Criticality.CRITICAL: max(options.interval, 2 * options.target),
        }
        self._bases: deque[float] = deque(maxlen=MINUTES)
        self._minute = -inf
        self._until = -inf
        self._least = inf
        self.standing = False

    def refuses(self, waited: float, criticality: Criticality, now: float) -> bool:
        """Whether one that has waited so long, by clocks that may differ, is too late already."""
        waited = self._by_one_clock(waited, now)
        if now >= self._until:
            self.standing = self._target < self._least < inf
            self._until = now + self._interval
            self._least = waited
            return False  # one in each interval at least tells how long the queue is
        self._least = min(self._least, waited)
        return self.standing and waited > self._patience[criticality]

    def _by_one_clock(self, waited: float, now: float) -> float:
        if now - self._minute >= MINUTE:
            self._minute = now
            self._bases.append(waited)
        elif waited < self._bases[-1]:
            self._bases[-1] = waited
        return waited - min(self._bases)
