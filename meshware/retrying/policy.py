"""Retries: what may be sent again without harm, and after how long.

After bytes may have arrived only what is idempotent (RFC 9110 section 9.2.2) or carries an
Idempotency-Key; what provably never arrived, always. Back-off with full jitter (Brooker, AWS
Architecture Blog, 2015: "Exponential Backoff And Jitter").
"""

from __future__ import annotations

from dataclasses import dataclass

from meshware.core.outcome import CONNECTION, Cause, Outcome, Verdict
from meshware.core.policy import Rng
from meshware.core.request import IDEMPOTENT, Request

GATEWAY = frozenset({502, 503, 504})
ANY_5XX = frozenset(range(500, 600))


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Attempts in all, back-off in seconds, and what may be repeated: `on` in Envoy's words, `headers` in small."""

    attempts: int = 2
    base: float = 0.025
    cap: float = 0.25
    methods: frozenset[str] = IDEMPOTENT
    statuses: frozenset[int] = frozenset({429, 502, 503, 504})
    on: frozenset[str] = frozenset({"connect-failure", "reset", "retriable-status-codes"})
    headers: frozenset[str] = frozenset()


class Retries:
    """The retry policy of one service. Has no state: thread-safe."""

    def __init__(self, options: RetryOptions) -> None:
        self.options = options
        self.attempts = options.attempts
        on = options.on
        self._connects = not on.isdisjoint({"connect-failure", "5xx"})
        self._resets = not on.isdisjoint({"reset", "5xx"})
        self._unsent = self._resets or "reset-before-request" in on
        self._statuses = frozenset[int]().union(
            ANY_5XX if "5xx" in on else (),
            GATEWAY if "gateway-error" in on else (),
            options.statuses if "retriable-status-codes" in on else (),
        )
        self._headers = options.headers if "retriable-headers" in on else frozenset[str]()

    def retryable(self, request: Request) -> bool:
        """Whether it may be sent a second time, without an answer, after bytes have gone out."""
        return self._resets and self._harmless(request)

    def allows(self, request: Request, outcome: Outcome) -> bool:
        """Whether sending it again after this outcome does no harm and may help."""
        if outcome.verdict is Verdict.SUCCESS or outcome.retried or outcome.final or not request.replayable:
            return False
        if outcome.cause is not None and not outcome.sent:
            return self._connects if outcome.cause in CONNECTION else self._unsent
        ours = outcome.verdict is Verdict.NEUTRAL and outcome.cause is not Cause.TIMEOUT  # what was cut goes elsewhere
        if ours or not self._harmless(request):
            return False
        if outcome.status is None:
            return self._resets
        return outcome.status in self._statuses or self._marked(outcome)

    def _harmless(self, request: Request) -> bool:
        return request.replayable and (request.method in self.options.methods or request.keyed)

    def _marked(self, outcome: Outcome) -> bool:
        headers = outcome.headers
        return headers is not None and any(name in headers for name in self._headers)

    def delay(self, number: int, outcome: Outcome, *, same_endpoint: bool, rng: Rng) -> float:
        """Seconds before attempt `number`: none where nothing was sent, and at the same endpoint the full back-off,
        or as long as it has asked for if that is more."""
        ceiling = min(self.options.cap, self.options.base * 2.0 ** (number - 2))
        if same_endpoint:
            return max(self.options.cap, outcome.retry_after or 0.0)
        if not outcome.sent and number == 2:
            return 0.0
        return rng.random() * ceiling
