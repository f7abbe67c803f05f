"""Adaptive throttling: a client refuses by itself about what its service would refuse.

For callees that are not ours and say that they are overloaded (429, or 503 with Retry-After): even to be refused by
them costs them something. Of the calls of late, all but K times as many as were accepted are refused by chance
(Google SRE book, chapter 21, "Client-Side Throttling"). K is also how fast it recovers: what is let out can grow by
K in a window, so the window is short.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshware.core.outcome import Outcome, Verdict
from meshware.core.policy import Rng


@dataclass(frozen=True, slots=True)
class ThrottleOptions:
    """A factor on the accepted calls; the seconds after which a call counts half."""

    k: float = 2.0
    window: float = 2.0


class Throttle:
    """Not thread-safe: called under the lock of who limits.

    A call counts when its answer is known, or when it is refused here: one under way is not yet anything.
    """

    def __init__(self, options: ThrottleOptions) -> None:
        self._k = options.k
        self._window = options.window
        self._requests = self._accepts = 0.0
        self._at = 0.0

    def refuses(self, rng: Rng, now: float) -> bool:
        """Whether this call is not let out; it counts then."""
        if not self._requests:  # nothing was ever refused, or long ago
            return False
        self._fade(now)
        excess = self._requests - self._k * self._accepts
        if excess <= 0.0 or rng.random() >= excess / (self._requests + 1.0):
            return False
        self._requests += 1.0
        return True

    def record(self, outcome: Outcome | None, now: float) -> None:
        """A call that was let out has ended; only an overload is a refusal."""
        self._fade(now)
        self._requests += 1.0
        self._accepts += outcome is None or outcome.verdict is not Verdict.OVERLOADED

    def _fade(self, now: float) -> None:
        if now > self._at:
            keep = 0.5 ** ((now - self._at) / self._window)
            self._requests *= keep
            self._accepts *= keep
            self._at = now
