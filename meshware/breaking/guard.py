"""The fleet guard: tells a service that fails everywhere from endpoints that fail.

While it is on, latency- and failure-aware policies stand back (algorithms study, section 4: without it
every one of them keeps an overload going). EWMA of failures over the service's attempts, 0.02 each.
"""

from __future__ import annotations

from collections.abc import Callable


class FleetGuard:
    """On above `threshold`, off again below half of it, so that it does not flutter.

    Statistical: one assignment per attempt, no lock. `turned(on, now)` is called at each turn.
    """

    def __init__(self, *, turned: Callable[[bool, float], None], threshold: float = 0.4, weight: float = 0.02) -> None:
        self._turned = turned
        self._threshold = threshold
        self._weight = weight
        self.failures = 0.0
        self.on = False

    def record(self, failed: bool, now: float) -> None:
        """One attempt's verdict."""
        if not (failed or self.on) and self.failures < 1e-6:  # while on, half of the least threshold is to be reached
            return
        self.failures += self._weight * (failed - self.failures)
        on = self.failures > (self._threshold / 2 if self.on else self._threshold)
        if on is not self.on:
            self.on = on
            self._turned(on, now)
