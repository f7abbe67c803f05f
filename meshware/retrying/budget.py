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
        self._theirs = self._their_calls = 0
        self._turn = 0.0  # when the next bucket begins
        self._lock = Lock()

    @property
    def tokens(self) -> float:
        """What this worker has now: less than nothing when it has spent what others had earned."""
        return self._tokens / 1000

    @property
    def calls(self) -> int:
        """Calls of this worker that the capacity follows."""
        return self._seen

    def join(self, tokens: float) -> None:
        """Others have so many already: one that joins them brings no more than what is missing to the minimum."""
        with self._lock:
            self._tokens = min(self._tokens, max(0, self._minimum - round(1000 * tokens)))

    def others(self, tokens: float, calls: float) -> None:
        """What the other workers of this host have: all of them pay from one budget."""
        self._theirs, self._their_calls = round(1000 * tokens), int(calls)

    def affordable(self) -> bool:
        """Whether a token is there now; another thread may take it next."""
        return self._tokens + self._theirs >= 1000

    def request(self, now: float) -> None:
        """A call began: the capacity follows the calls of the window."""
        with self._lock:
            if now >= self._turn:
                self._advance(now)
            self._calls[self._bucket % BUCKETS] += 1
            self._seen += 1

    def deposit(self, now: float) -> None:
        """A call succeeded."""
        if now < self._turn and self._tokens >= self._capacity() - self._theirs:
            return  # it is full, as it nearly always is
        with self._lock:
            if now >= self._turn:
                self._advance(now)
            room = self._capacity() - self._theirs
            if self._tokens < room:
                self._tokens = min(self._tokens + self._earn, room)

    def withdraw(self, now: float) -> bool:
        """Take one token, if there is one."""
        with self._lock:
            if now >= self._turn:
                self._advance(now)
            self._tokens = min(self._tokens, self._capacity() - self._theirs)
            if self._tokens + self._theirs < 1000:
                return False
            self._tokens -= 1000
            return True

    def give_back(self, now: float) -> None:
        """What was paid for was never sent."""
        with self._lock:
            self._tokens += 1000

    def _capacity(self) -> int:
        earned = self._earn * (self._seen + self._their_calls)
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
