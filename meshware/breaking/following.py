"""Ejection beside the other workers of a host: says what was found here, and follows what the others have found.

The last word counts, whoever says it. Who ejects an endpoint sees to its return; when he is gone, all others do.
"""

from __future__ import annotations

from math import inf

from meshware.breaking.ejection import EndpointEjection
from meshware.breaking.record import Record
from meshware.core.endpoint import Endpoint

FOLLOWED = "another worker of this host has ejected it"


class FollowingEjection(EndpointEjection):
    """The ejection policy of one service, by the words of all workers. Thread-safe, as the policy itself."""

    def word(self, endpoint: Endpoint) -> tuple[float, float]:
        """What this worker has found out itself (see core/policy.py)."""
        record = self._records.get(endpoint)
        return (0.0, 0.0) if record is None else (record.word, inf if record.connecting else record.until)

    def heard(self, endpoint: Endpoint, good: int, bad: int, now: float) -> None:
        """What the other workers of this host had there: one worker's few calls are not to eject for all."""
        record = self._records.get(endpoint)
        if record is None:
            return
        with self._lock:
            record.window.add(good, bad, now)
            if good:
                record.row = 0

    def follow(self, endpoint: Endpoint, word: float, until: float, now: float) -> None:
        """The last word counts, whoever says it. When nobody stands by it any more, the return is ours to see to."""
        with self._lock:
            record = self._records.get(endpoint)
            if record is not None and abs(word) <= max(abs(record.word), abs(record.heard)):
                if record.followed and abs(word) < abs(record.heard):
                    record.followed, record.until, record.probe_at = False, min(record.until, now), now
                return
            if word == 0.0 or not self._options.enabled:
                return
            events = self._followed(self._record_of(endpoint), endpoint, word, until, now)
        for event in events:
            self._emit(event)

    def _followed(self, record: Record, endpoint: Endpoint, word: float, until: float, now: float) -> list[object]:
        events: list[object] = []
        if word < 0:
            if endpoint in self.waiting:
                events = self._restore(record, endpoint, now)
        elif until == inf:
            events = self._eject_connection(record, endpoint, FOLLOWED, now)
        elif until > now and not self._guard.on and (endpoint in self.waiting or self._may_go(endpoint, now)):
            events = self._eject(record, endpoint, FOLLOWED, now)
        record.word, record.heard = 0.0, word
        record.followed = word > 0 and endpoint in self.waiting
        return events
