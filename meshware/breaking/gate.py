"""The gate: pybreaker's state machine with admission before a call and its outcome after.

On pybreaker's public API only. It owns states, transitions, listeners and the storage contract; the
gate adds leases (a trial comes back on every ending), epochs (a late outcome changes nothing) and
opening times on the monotonic clock. pybreaker's own `call` holds its lock while the function runs,
counts cancellations and knows only consecutive failures (measured: docs/decisions/0002), so nothing but
a no-op is ever run under it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import TYPE_CHECKING, NamedTuple

from meshware.core.outcome import Verdict
from meshware.core.policy import Rng

if TYPE_CHECKING:
    from pybreaker import CircuitBreaker


class GateLease(NamedTuple):
    """The right to one call: of which epoch, and whether it is a trial."""

    epoch: int
    trial: bool


@dataclass(frozen=True, slots=True)
class Backoff:
    """Open for base x 2^k seconds, at most cap, +-jitter (a share of it)."""

    base: float = 1.0
    cap: float = 16.0
    jitter: float = 0.25

    def seconds(self, k: int, rng: Rng) -> float:
        """How long to stay open the (k+1)-th time in a row."""
        return spread(min(self.cap, self.base * 2.0**k), self.jitter, rng)


def spread(seconds: float, jitter: float, rng: Rng) -> float:
    """So many seconds, +-jitter, so that a fleet does not come back in step."""
    return seconds * (1 + jitter * (2 * rng.random() - 1))


class Gate:
    """One breaker. `tripped(now)` is asked, after a failure was counted, whether it should open.

    With a `breaker` of the user's own, its fail_max, reset_timeout and listeners hold as well.
    Thread-safe: one short lock, never held over I/O.
    """

    def __init__(
        self,
        *,
        backoff: Backoff,
        rng: Rng,
        tripped: Callable[[float], bool] = lambda now: False,
        breaker: CircuitBreaker | None = None,
    ) -> None:
        from pybreaker import CircuitBreaker, CircuitBreakerError

        # our own never trips by pybreaker's count: `tripped` decides
        self._breaker = breaker or CircuitBreaker(fail_max=2**62, throw_new_error_on_trip=False)
        self._owned = breaker is None
        self._expected = (_Failed, CircuitBreakerError)
        self._backoff = backoff
        self._rng = rng
        self._tripped = tripped
        self._lock = RLock()
        self._trial_out = False
        self._state = "closed"
        self.epoch = 0
        self.k = 0
        self.opens_again = 0.0

    @property
    def closed(self) -> bool:
        """Whether calls go through; also sees what the user did to his own breaker by hand."""
        return self._breaker.current_state == "closed"

    def admit(self, now: float) -> GateLease | None:
        """A lease; None while open, or while the one trial is out."""
        with self._lock:
            self._notice(now)
            if self._state == "closed":
                return GateLease(self.epoch, False)
            if not self.admits(now):
                return None
            if self._state == "open":
                self._breaker.half_open()
                self._state = "half-open"
            self._trial_out = True
            return GateLease(self.epoch, True)

    def admits(self, now: float) -> bool:
        """Whether `admit` would give a lease, as far as can be seen without asking."""
        return self._state == "closed" or (now >= self.opens_again and not self._trial_out)

    def record(self, lease: GateLease, verdict: Verdict, now: float) -> None:
        """The outcome of an admitted call. NEUTRAL and OVERLOADED only give the lease back."""
        if verdict is Verdict.SUCCESS:
            self._feed(lease, _nothing, now)
        elif verdict is Verdict.FAILURE:
            self._feed(lease, _fail, now)
        else:
            self.release(lease, now)

    def release(self, lease: GateLease, now: float) -> None:
        """The call said nothing: a trial may be had again."""
        with self._lock:
            if lease.trial and lease.epoch == self.epoch:
                self._trial_out = False

    def until(self, now: float) -> float | None:
        """While open, when the next trial may be had; None when closed."""
        return None if self.closed else self.opens_again

    def close(self, now: float) -> None:
        """Close now: the other side is known to be well."""
        with self._lock:
            self._breaker.close()
            self._notice(now)

    def open(self, now: float, until: float) -> None:
        """Open now, for a reason of the owner's, until he closes it or the time comes; `k` is his to count."""
        with self._lock:
            k = self.k
            self._breaker.open()
            self._notice(now)
            self.k, self.opens_again = k, until

    def _feed(self, lease: GateLease, outcome: Callable[[], None], now: float) -> None:
        with self._lock:
            self._notice(now)
            if lease.epoch != self.epoch:
                return
            try:
                self._breaker.call(outcome)
            except self._expected:
                if self.closed and self._tripped(now):
                    self._breaker.open()
            finally:  # a listener of the user's may raise: the trial is back all the same
                self._trial_out = self._trial_out and not lease.trial
                self._notice(now)

    def _notice(self, now: float) -> None:
        """A state other than the last one seen starts a new epoch."""
        state = self._breaker.current_state
        if state == self._state:
            return
        if state == "open":
            wait = self._backoff.seconds(self.k, self._rng) if self._owned else self._breaker.reset_timeout
            self.opens_again = now + wait
            self.k += 1
        self._state = state
        self._trial_out = False
        self.epoch += 1


class _Failed(Exception):
    """What a breaker is fed: light, and without the user's traceback (feeding that made it grow)."""


def _nothing() -> None:
    """A success, for the breaker."""


def _fail() -> None:
    raise _Failed
