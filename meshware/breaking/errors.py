"""Our CircuitOpen for those who catch pybreaker's error."""

from __future__ import annotations

from pybreaker import CircuitBreakerError

from meshware.core.errors import CircuitOpen


class BreakerOpen(CircuitOpen, CircuitBreakerError):
    """The service's circuit is open; also a pybreaker.CircuitBreakerError."""
