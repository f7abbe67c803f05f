"""What limits a route's calls beside their service's own limits: so many at once, so many a second.

The former is a bulkhead (Nygard, "Release It!"; Resilience4j's SemaphoreBulkhead, whose callers do not wait): a route
that hangs cannot take what the others need. The latter is Envoy's local rate limit of a route.
"""

from __future__ import annotations

from threading import Lock

from meshware.core.call import Call
from meshware.core.outcome import Outcome
from meshware.limiting.rate import RateOptions, TokenBucket, in_words


class RouteLimiter:
    """The `Permits` of one route: its own, then those of the service whose call it is. Thread-safe, and exact.

    `most`: calls in flight; None: any number.
    """

    def __init__(self, route: str, most: int | None, rate: RateOptions | None) -> None:
        self.route = route
        self.most = most
        self.rate = rate
        self.in_flight = 0
        self._bucket: TokenBucket | None = None
        self._lock = Lock()

    def acquire(self, call: Call, now: float) -> str | None:
        """None when the route and the service let the call go on; otherwise which does not."""
        with self._lock:
            refused = self._refused(now)
            if refused is not None:
                return refused
            self.in_flight += 1
            if self._bucket is not None:
                self._bucket.wait(now)  # there is a token: it is taken
        theirs = call.service.limiter
        try:
            refused = None if theirs is None else theirs.acquire(call, now)
        except BaseException:
            self._give_back()
            raise
        if refused is not None:
            self._give_back()
        return refused

    def release(self, call: Call, outcome: Outcome | None, now: float) -> None:
        """The call is over."""
        self._give_back()
        if call.service.limiter is not None:
            call.service.limiter.release(call, outcome, now)

    def foreseen(self, call: Call, now: float) -> str | None:
        """Why it would be refused now; nothing is taken."""
        with self._lock:
            refused = self._refused(now)
        theirs = call.service.limiter
        return refused if refused is not None or theirs is None else theirs.foreseen(call, now)

    def _refused(self, now: float) -> str | None:
        if self.most is not None and self.in_flight >= self.most:
            return f"{self.in_flight} in flight of route {self.route}, limit {self.most}"
        if self.rate is None:
            return None
        if self._bucket is None:
            self._bucket = TokenBucket(self.rate, now)
        wait = self._bucket.due(now)
        return f"{in_words(self.rate, wait)}, of route {self.route}" if wait else None

    def _give_back(self) -> None:
        with self._lock:
            self.in_flight -= 1

    def __str__(self) -> str:
        most = [] if self.most is None else [f"{self.in_flight} of {self.most} in flight"]
        rate = [] if self.rate is None else [f"{self.rate.rate:g} a second, {self.rate.burst} at once"]
        return ", ".join(most + rate)

    def __repr__(self) -> str:
        return f"<RouteLimiter {self.route}: {self}>"
