"""Active health checks of one service: who fails them is not picked, until it passes them again.

Never the last one that is left. A status that is not expected is a plain word and counts at once; no answer, or a check
that raises or hangs, counts to the threshold (Envoy). Of the workers of a host that share what they know, one checks an
endpoint and the others follow its word (sharing/board.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshware.core.availability import Bar
from meshware.core.events import EndpointHealthy, EndpointUnhealthy
from meshware.core.service import described
from meshware.health.asking import Ailing

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Hands
    from meshware.core.service import Service

FOLLOWED = "another worker of this host has found it so"
HANGS = "its last check still hangs"

SOON = 2.0
"""Seconds between checks below which the housekeeper does not rest as long as it would."""

ITSELF = frozenset({Bar.UNHEALTHY, Bar.WARMING})


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Seconds between two checks, and of the return; checks in a row that decide."""

    interval: float = 5.0
    healthy: int = 2
    unhealthy: int = 3
    jitter: float = 0.25
    slow_start: float = 10.0


class Record:
    """What the checks know of one endpoint."""

    __slots__ = ("asking", "at", "bad", "due", "good", "heard", "known", "mine", "said", "since", "word")

    def __init__(self, due: float) -> None:
        self.due = due
        self.at: float | None = None  # of the last result
        self.asking = self.known = False  # known: it was healthy once
        self.mine = True  # whether this worker checks it
        self.good = self.bad = 0
        self.since = 0.0
        self.said = "not checked yet"
        self.word = self.heard = 0.0  # when it was found ailing, or minus when well: here, and by others


class Checks:
    """For the housekeeper's thread; `status` is for any. `ask(endpoint)` runs on a hand and raises what is wrong.

    `passed(endpoint, now)` is told of each check that was passed, `reset(endpoint, now)` of a return. `limit`: seconds
    after which a check counts as hung.
    """

    def __init__(
        self,
        options: CheckOptions,
        *,
        service: Service,
        ask: Callable[[Endpoint], None],
        limit: float,
        passed: Callable[[Endpoint, float], None],
        reset: Callable[[Endpoint, float], None],
    ) -> None:
        self._options, self._service, self._ask, self._limit = options, service, ask, limit
        self._passed, self._reset = passed, reset
        self._endpoints: tuple[Endpoint, ...] = ()
        self._records: dict[Endpoint, Record] = {}

    def take_over(self, old: Checks) -> None:
        """Begin with what others of this service know, which are asked no more."""
        self._records = dict(old._records)

    def drop(self) -> None:
        """Nobody checks any more, so that none is kept out."""
        for each in self._records:
            each.availability.lift(Bar.UNHEALTHY)

    def keep(self, now: float, hands: Hands) -> bool:
        """Have done what is due; whether more is due soon."""
        if self._service.endpoints is not self._endpoints:
            self._renew(now)
        for endpoint, record in self._records.items():
            if record.mine and record.due <= now and not record.asking:
                self._begin(endpoint, record, now, hands)
        self._spare(now)
        return self._options.interval < SOON

    def status(self, endpoint: Endpoint, now: float) -> dict[str, Any]:
        """What was said last, and how many seconds ago, as plain data."""
        record = self._records.get(endpoint)
        if record is None:
            return {"said": "not checked yet", "age": None}
        return {"said": record.said, "age": None if record.at is None else now - record.at}

    # Beside the other workers of this host

    def word(self, endpoint: Endpoint) -> float:
        """What this worker has found itself: when it was found ailing, or minus when well again; 0.0: nothing."""
        record = self._records.get(endpoint)
        return 0.0 if record is None else record.word

    def follow(self, endpoint: Endpoint, word: float, mine: bool, now: float) -> None:
        """The latest word of the others, as above; and whether it is this worker who checks."""
        if self._service.endpoints is not self._endpoints:
            self._renew(now)
        record = self._records.get(endpoint)
        if record is None:
            return
        record.mine = mine
        if abs(word) <= max(abs(record.word), abs(record.heard)):
            return
        record.heard, record.at, record.known = word, now, record.known or word < 0
        if word > 0:
            self._take_out(endpoint, record, FOLLOWED, now)
        else:
            self._restore(endpoint, record, now)
        record.word = 0.0

    # One check

    def _renew(self, now: float) -> None:
        """The service has other endpoints: none of those that are gone is kept out, should it come back."""
        self._endpoints = self._service.endpoints
        known, rng, interval = self._records, self._service.rng, self._options.interval
        self._records = {each: known.get(each) or Record(now + rng.random() * interval) for each in self._endpoints}
        for gone in known.keys() - self._records.keys():
            gone.availability.lift(Bar.UNHEALTHY)

    def _begin(self, endpoint: Endpoint, record: Record, now: float, hands: Hands) -> None:
        options = self._options
        spread = 1 + options.jitter * (2 * self._service.rng.random() - 1)
        record.due = now + options.interval * spread
        record.asking = True
        given = hands.give(
            (self, endpoint),
            lambda: self._ask(endpoint),
            limit=self._limit,
            done=lambda result, error, now: self._checked(endpoint, record, error, now),
            lesser=True,
        )
        if not given:
            record.asking = False
            self._failed(endpoint, record, TimeoutError(HANGS), now)

    def _checked(self, endpoint: Endpoint, record: Record, error: Exception | None, now: float) -> None:
        record.asking = False
        if self._records.get(endpoint) is not record:
            return
        if error is None:
            self._well(endpoint, record, now)
        else:
            self._failed(endpoint, record, error, now)

    def _well(self, endpoint: Endpoint, record: Record, now: float) -> None:
        record.good, record.bad, record.at, record.said = record.good + 1, 0, now, "healthy"
        self._passed(endpoint, now)
        if record.good >= (self._options.healthy if record.known else 1):
            self._restore(endpoint, record, now)
            record.known = True

    def _failed(self, endpoint: Endpoint, record: Record, error: Exception, now: float) -> None:
        said = str(error) if isinstance(error, Ailing) else described(error)
        record.good, record.bad, record.at, record.said = 0, record.bad + 1, now, said
        if isinstance(error, Ailing) or record.bad >= self._options.unhealthy:
            self._take_out(endpoint, record, said, now)

    # Out and back

    def _take_out(self, endpoint: Endpoint, record: Record, reason: str, now: float) -> None:
        if Bar.UNHEALTHY in endpoint.bars or not self._left(now, endpoint):
            return
        record.since = record.word = now
        endpoint.availability.bar(Bar.UNHEALTHY, detail=reason)
        self._service.change()
        self._service.emit(EndpointUnhealthy(self._service.name, now, endpoint.address, reason))

    def _restore(self, endpoint: Endpoint, record: Record, now: float) -> None:
        if Bar.UNHEALTHY not in endpoint.bars:
            return
        record.word, away = -now, now - record.since
        self._reset(endpoint, now)
        if self._options.slow_start > 0:
            endpoint.availability.warm(now, min(self._options.slow_start, away))
        endpoint.availability.lift(Bar.UNHEALTHY)
        self._service.change()
        self._service.emit(EndpointHealthy(self._service.name, now, endpoint.address, away))

    def _left(self, now: float, without: Endpoint | None = None) -> bool:
        """Whether any may be used, but this one."""
        return any(each is not without and each.availability.available(now) for each in self._endpoints)

    def _spare(self, now: float) -> None:
        """When all others have gone, for whatever reason, the one that was found ailing last is used all the same."""
        out = [(record.since, each) for each, record in self._records.items() if Bar.UNHEALTHY in each.bars]
        out = [(since, each) for since, each in out if each.bars.keys() <= ITSELF]
        if out and not self._left(now):
            last = max(out, key=lambda one: one[0])[1]
            last.availability.lift(Bar.UNHEALTHY)
            self._service.change()
