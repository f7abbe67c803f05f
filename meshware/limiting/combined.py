"""What limits a service's calls where more is set than the in-flight limit: the rate, then throttling, then that.

The order is by how sure each is: the rate is an order, throttling goes by what the service said, the limit by a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from threading import Lock

from meshware.core.call import Call
from meshware.core.outcome import Outcome
from meshware.core.policy import Limiter
from meshware.limiting.rate import RateOptions, TokenBucket, in_words
from meshware.limiting.throttle import Throttle, ThrottleOptions


class CombinedLimiter:
    """A `Limiter` of several, each of which may be missing. Thread-safe."""

    def __init__(self, limit: Limiter | None, rate: RateOptions | None, throttle: ThrottleOptions | None) -> None:
        self._limit = limit
        self._rate = rate
        self._bucket: TokenBucket | None = None
        self._throttle = None if throttle is None else Throttle(throttle)
        self._lock = Lock()

    @property
    def in_flight(self) -> int:
        """The in-flight limit's."""
        return 0 if self._limit is None else self._limit.in_flight

    @property
    def limit(self) -> float:
        """The in-flight limit's; 0.0 where there is none."""
        return 0.0 if self._limit is None else self._limit.limit

    @property
    def spare(self) -> float:
        """The in-flight limit's; without one as many as anybody likes."""
        return inf if self._limit is None else self._limit.spare

    def others(self, in_flight: float, limits: Sequence[float]) -> None:
        """For the in-flight limit."""
        if self._limit is not None:
            self._limit.others(in_flight, limits)

    def acquire(self, call: Call, now: float) -> str | None:
        """None when each lets the call go on; otherwise which does not."""
        with self._lock:
            refused = self._refused(call, now)
        if refused is None and self._limit is not None:
            return self._limit.acquire(call, now)
        return refused

    def release(self, call: Call, outcome: Outcome | None, now: float) -> None:
        """The call is over."""
        if self._throttle is not None:
            with self._lock:
                self._throttle.record(outcome, now)
        if self._limit is not None:
            self._limit.release(call, outcome, now)

    def foreseen(self, call: Call, now: float) -> str | None:
        """By the rate or the in-flight limit; a throttle refuses by chance."""
        with self._lock:
            wait = 0.0 if self._bucket is None else self._bucket.due(now)
        if self._rate is not None and wait:
            return in_words(self._rate, wait)
        return None if self._limit is None else self._limit.foreseen(call, now)

    def _refused(self, call: Call, now: float) -> str | None:
        if self._rate is not None:
            if self._bucket is None:
                self._bucket = TokenBucket(self._rate, now)
            wait = self._bucket.wait(now)
            if wait > 0.0:
                return in_words(self._rate, wait)
        if self._throttle is not None and self._throttle.refuses(call.rng, now):
            return "throttled: it has refused most calls of late"
        return None
