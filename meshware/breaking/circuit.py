"""The circuit: refuses a service's calls while none of them succeeds. Counts calls, not attempts.

Opens when the last 20 calls all failed over at least 2 s; one trial after 1 s x 2^k, cap 30 s. By rate
only when set. Has no breaker, and costs nothing, before the first failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshware.breaking.gate import Backoff, Gate, GateLease
from meshware.breaking.windows import RateWindow
from meshware.core.events import CircuitClosed, CircuitOpened
from meshware.core.outcome import SUCCESS, Verdict
from meshware.core.policy import Guard, Rng

if TYPE_CHECKING:
    from pybreaker import CircuitBreaker


@dataclass(frozen=True, slots=True)
class CircuitOptions:
    """`calls` failed in a row over `span` seconds; or `failure_rate` of at least `minimum` in `window`."""

    enabled: bool = True
    calls: int = 20
    span: float = 2.0
    base: float = 1.0
    cap: float = 30.0
    jitter: float = 0.25
    failure_rate: float | None = None
    minimum: int = 20
    window: float = 10.0


HEALTHY = GateLease(-1, False)
"""The lease of a call begun before there was any failure."""


class ServiceCircuit:
    """One service's circuit. Thread-safe; a row is ended only by a body read to its end or dropped."""

    def __init__(
        self,
        options: CircuitOptions,
        *,
        service: str,
        guard: Guard,
        rng: Rng,
        emit: Callable[[object], None],
        breaker: CircuitBreaker | None = None,
    ) -> None:
        self._options = options
        self._service = service
        self._guard = guard
        self._rng = rng
        self._emit = emit
        self._users = breaker
        self._gate: Gate | None = None if breaker is None else self._make()
        self._row = 0
        self._row_began = 0.0
        self._rate = RateWindow(options.window) if options.failure_rate is not None else None
        self.quiet = breaker is None and self._rate is None  # until the first failure

    def admit(self, now: float) -> GateLease | None:
        """A lease, or None: the call is refused."""
        return HEALTHY if self._gate is None else self._gate.admit(now)

    def record(self, lease: GateLease, verdict: Verdict, now: float) -> None:
        """A call's final outcome, at its headers or error."""
        if verdict is SUCCESS:
            if self._rate is not None:
                self._rate.success(now)
            if lease.trial or self._users is not None:
                self._feed(lease, verdict, now)
        elif verdict is Verdict.FAILURE:
            if self._rate is not None:
                self._rate.failure(now)
            self._fail(lease, now)
        elif self._gate is not None:
            self._gate.release(lease, now)

    def body(self, lease: GateLease, broken: bool, now: float) -> None:
        """A successful answer's body has ended: it ends a row, or takes the success back."""
        if not broken:
            self._row = 0
            return
        if self._rate is not None:
            self._rate.take_back(now)
        self._fail(lease, now)

    def release(self, lease: GateLease, now: float) -> None:
        """The call ended and says nothing."""
        if self._gate is not None:
            self._gate.release(lease, now)

    def until(self, now: float) -> float | None:
        """While open, when the next trial may be had."""
        return None if self._gate is None else self._gate.until(now)

    def _fail(self, lease: GateLease, now: float) -> None:
        if not self._options.enabled and self._users is None:
            return
        self.quiet = False
        if self._gate is None:
            self._gate = self._make()
        if self._row == 0:
            self._row_began = now
        self._row += 1
        if lease is HEALTHY and self._gate.epoch == 0:
            lease = GateLease(0, False)
        self._feed(lease, Verdict.FAILURE, now)

    def _feed(self, lease: GateLease, verdict: Verdict, now: float) -> None:
        gate = self._gate
        assert gate is not None  # made at the first failure, or the user's
        before = gate.epoch
        gate.record(lease, verdict, now)
        if gate.epoch == before:
            return
        self._row = 0
        until = gate.until(now)
        if until is not None:
            self._emit(CircuitOpened(self._service, now, until))
            return
        gate.k = 0
        if self._rate is not None:
            self._rate.clear()
        self._emit(CircuitClosed(self._service, now))

    def _tripped(self, now: float) -> bool:
        options = self._options
        if not options.enabled:
            return False
        if self._row >= options.calls and now - self._row_began >= options.span:
            return True
        if self._rate is None or options.failure_rate is None or self._guard.on:
            return False
        good, bad = self._rate.totals(now)
        return good + bad >= options.minimum and bad >= options.failure_rate * (good + bad)

    def _make(self) -> Gate:
        backoff = Backoff(self._options.base, self._options.cap, self._options.jitter)
        return Gate(backoff=backoff, rng=self._rng, tripped=self._tripped, breaker=self._users)
