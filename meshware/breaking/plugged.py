"""A breaker that a plugin brings, as a service's circuit: it decides alone, in place of the rules of circuit.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshware.core.events import CircuitClosed, CircuitOpened
from meshware.core.outcome import Verdict
from meshware.core.policy import Breaker


class PluggedCircuit:
    """As thread-safe as the breaker; what that raises lets the call through."""

    quiet = False

    def __init__(self, breaker: Breaker, *, service: str, emit: Callable[[object], None]) -> None:
        self._breaker = breaker
        self._service = service
        self._emit = emit
        self._body: Callable[..., None] | None = getattr(breaker, "body", None)
        self._open = False

    def admit(self, now: float) -> Any:
        """A lease, or None: the call is refused."""
        return self._breaker.admit(now)

    def record(self, lease: Any, verdict: Verdict, now: float) -> None:
        """A call's final outcome, at its headers or error."""
        self._breaker.record(lease, verdict, now)
        self._tell(now)

    def body(self, lease: Any, broken: bool, now: float) -> None:
        """A successful answer's body has ended: told to a breaker that asks for it."""
        if self._body is not None:
            self._body(lease, broken, now)
            self._tell(now)

    def release(self, lease: Any, now: float) -> None:
        """The call ended and says nothing."""
        self._breaker.release(lease, now)

    def until(self, now: float) -> float | None:
        """While open, when the next trial may be had."""
        return self._breaker.until(now)

    def _tell(self, now: float) -> None:
        until = self._breaker.until(now)
        if (until is not None) is self._open:
            return
        self._open = until is not None
        self._emit(CircuitClosed(self._service, now) if until is None else CircuitOpened(self._service, now, until))
