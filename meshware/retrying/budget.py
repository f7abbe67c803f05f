"""RetryBudget: retries and hedges of a service are paid from what its successes earn.

Starts at 2 tokens, +0.2 a success, at most max(2, 0.2 x calls of the last 10 s), so that a total
outage meets a trickle (Finagle's RetryBudget has the ratio; its floor of 10/s amplifies small services).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

BUCKETS = 10


@dataclass(frozen=True, slots=True)
class BudgetOptions:
    """Tokens earned per success, tokens to start with and to keep at least room for, seconds counted."""

    ratio: float = 0.2
    minimum: float = 2.0
    window: float = 10.0


class RetryBudget:
    """Exact under any number of threads: one short lock over integers (thousandths of a token)."""

    def __init__(self, options: BudgetOptions) -> None:
        self._earn = round(1000 * options.ratio)
        self._minimum = round(1000 * options.minimum)
        self._width = options.window / BUCKETS
        self._tokens = self._minimum
        self._calls = [0] * BUCKETS
        self._seen = 0
        self._bucket = 0
        self._turn = 0.0  # when the next bucket begins
        self._lock = Lock()

    @property
    def tokens(self) -> float:
        """What is there now."""
        return self._tokens / 1000

    def affordable(self) -> bool:
        """Whether a token is there now; another thread may take it next."""
        return self._tokens >= 1000

    def request(self, now: float) -> None:
        """A call began: the capacity follows the calls of the window."""
        with self._lock:
            if now >= self._turn:
                self._advance(now)
            self._calls[self._bucket % BUCKETS] += 1
            self._seen += 1

    def deposit(self, now: float) -> None:
        """A call succeeded."""
        with self._lock:
            if now >= self._turn:
                self._advance(now)
            capacity = self._capacity()
            if self._tokens < capacity:
                self._tokens = min(self._tokens + self._earn, capacity)

    def withdraw(self, now: float) -> bool:
        """Take one token, if there is one."""
        with self._lock:
            if now >= self._turn:
                self._advance(now)
            self._tokens = min(self._tokens, self._capacity())
            if self._tokens < 1000:
                return False
            self._tokens -= 1000
            return True

    def give_back(self, now: float) -> None:
        """What was paid for was never sent."""
        with self._lock:
            self._tokens += 1000

    def _capacity(self) -> int:
        earned = self._earn * self._seen
        return earned if earned > self._minimum else self._minimum

    def _advance(self, now: float) -> None:
        bucket = int(now / self._width)
        self._turn = (bucket + 1) * self._width
        if bucket <= self._bucket:
            return
        for stale in range(max(self._bucket + 1, bucket - BUCKETS + 1), bucket + 1):
            self._seen -= self._calls[stale % BUCKETS]
            self._calls[stale % BUCKETS] = 0
        self._bucket = bucket
