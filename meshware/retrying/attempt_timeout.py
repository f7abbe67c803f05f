"""AttemptTimeout: how long one attempt may wait for headers while another could still follow.

Adaptive: max(100 ms, 3 x the operation's p95 over the fleet), three times that where the endpoint answers others
meanwhile. A fixed one is as it was set: it, plus retries over a backlog,
is enough to bring a fleet down (performance study, finding 2), so a common pause lifts it: that is
asked when the time has come (`Call.overdue`), not here.
"""

from __future__ import annotations

from meshware.core.operations import Operation

FLOOR = 0.1
FACTOR = 3.0
PATIENCE = 3.0


class AttemptTimeout:
    """`fixed` seconds, or adaptive when None. Has no state: thread-safe."""

    def __init__(self, fixed: float | None = None) -> None:
        self._fixed = fixed
        self.patience = PATIENCE if fixed is None else 1.0

    def limit(self, operation: Operation, *, remaining: float, left: int, now: float) -> float | None:
        """Seconds; None before 20 samples. At most the remaining time divided by the attempts left."""
        limit = self._fixed
        if limit is None:
            pace = operation.figures(now)
            if pace is None:
                return None
            limit = max(FLOOR, FACTOR * pace)
        return min(limit, remaining / left)


class NoAttemptTimeout:
    """Attempts are bounded by the call's deadline only."""

    patience = 1.0

    def limit(self, operation: Operation, *, remaining: float, left: int, now: float) -> float | None:
        """Never a limit."""
        return None
