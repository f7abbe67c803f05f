"""Ejection: takes endpoints out after failures and brings them back. Counts attempts, not calls.

Two classes. *Answers* (errors, 5xx, timeouts; where set, outliers and slow calls): out for 1 s x 2^k, then one trial
by a user's call; at most half of the fleet. *Connection* (refused, no connect): out until a background connect
succeeds; no cap; likewise a whole zone that seems lost (zones.py), but never the last zone. None takes the last one.
Each ejected endpoint is a breaker behind a gate, made at the first failure.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from math import inf
from threading import Lock

from meshware.breaking.gate import Backoff, Gate, GateLease, spread
from meshware.breaking.outliers import Found, outliers
from meshware.breaking.record import EjectionOptions, Record
from meshware.breaking.slowness import slow
from meshware.breaking.zones import Zones
from meshware.core.availability import Bar
from meshware.core.call import Attempt
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.events import EndpointEjected, EndpointRestored
from meshware.core.outcome import CONNECTION, NEUTRAL, OVERLOADED, SUCCESS, Cause, Outcome
from meshware.core.policy import Guard, Rng

REVIEW = 1.0
"""Seconds between two comparisons of the endpoints with each other."""

HEALTHY_SPAN = 10.0
"""Seconds of health after which the next ejection is one step shorter."""


class EndpointEjection:
    """The ejection policy of one service. Thread-safe: one short lock for failures and trials.

    The healthy path takes none: a success is one count in a window.
    """

    def __init__(
        self,
        options: EjectionOptions,
        *,
        service: str,
        endpoints: Callable[[], Sequence[Endpoint]],
        guard: Guard,
        rng: Rng,
        emit: Callable[[object], None],
        changed: Callable[[], None],
        reset: Callable[[Endpoint, float], None] = lambda endpoint, now: endpoint.reset(),
    ) -> None:
        self._options = options
        self._reset = reset
        self._service = service
        self._endpoints = endpoints
        self._guard = guard
        self._rng = rng
        self._emit = emit
        self._changed = changed
        self._backoff = Backoff(options.base, options.cap, options.jitter)
        self._lock = Lock()
        self._records: dict[Endpoint, Record] = {}
        self._zones = Zones()
        self._reviewed = 0.0
        self.waiting: dict[Endpoint, Record] = {}

    # Outcomes

    def record(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """An attempt was answered or failed."""
        if not self._options.enabled:
            return
        verdict, endpoint = outcome.verdict, attempt.endpoint
        gone = endpoint.bars and Bar.REMOVED in endpoint.bars  # nobody would ever forget it again
        if verdict is NEUTRAL or gone:
            self.release(attempt, now)
            return
        record = self._record_of(endpoint)
        if verdict is SUCCESS and attempt.lease is None:
            record.window.success(now)
            if record.times is not None:
                record.times.append((now, outcome.elapsed))
            if self._zones.rows:
                self._zones.good(endpoint)
            return
        with self._lock:
            events = self._judge(record, attempt, outcome, now) if attempt.epoch == endpoint.epoch else []
            if outcome.cause in CONNECTION and self._zones.bad(endpoint):
                events += self._eject_zone(endpoint.locality, now)
        for event in events:
            self._emit(event)

    def body(self, attempt: Attempt, broken: bool, now: float) -> None:
        """A successful answer's body has ended: it ends a row of failures, or adds one to it."""
        endpoint = attempt.endpoint
        record = self._records.get(endpoint)
        if record is None or (not broken and record.row == 0):
            return
        with self._lock:
            if broken and record.trial is attempt and self._may_go(endpoint, now):
                events = self._eject(record, endpoint, "the body of its trial broke off", now)
            elif attempt.epoch != endpoint.epoch:
                return
            elif not broken:
                record.row = 0
                return
            else:
                record.window.take_back(now)
                record.row += 1
                events = self._consider(record, endpoint, now)
        for event in events:
            self._emit(event)

    def release(self, attempt: Attempt, now: float) -> None:
        """The attempt says nothing: the trial that it held may be had again."""
        record = self._records.get(attempt.endpoint)
        if isinstance(attempt.lease, GateLease) and record is not None and record.gate is not None:
            record.gate.release(attempt.lease, now)

    def _judge(self, record: Record, attempt: Attempt, outcome: Outcome, now: float) -> list[object]:
        endpoint, lease = attempt.endpoint, attempt.lease
        if outcome.verdict is SUCCESS:
            record.window.success(now)
            if outcome.elapsed > record.over:
                return self._eject(record, endpoint, "its trial was slow", now)
            record.trial = attempt
            return self._restore(record, endpoint, now)
        if outcome.verdict is OVERLOADED:
            if isinstance(lease, GateLease) and record.gate is not None:
                record.gate.release(lease, now)
            self._hold_off(endpoint, outcome.retry_after, now)
            return []
        self._count(record, outcome, now)
        if not isinstance(lease, GateLease):
            return self._consider(record, endpoint, now)
        connected = outcome.cause not in CONNECTION
        unconnected = [] if connected else self._eject_connection(record, endpoint, _unconnected(record), now)
        return unconnected or self._eject(record, endpoint, "its trial failed", now)

    def _count(self, record: Record, outcome: Outcome, now: float) -> None:
        record.window.failure(now)
        record.row += not outcome.late
        if record.times is not None and outcome.cause is Cause.TIMEOUT:
            record.times.append((now, outcome.elapsed))
        record.refused = record.refused + 1 if outcome.cause in (Cause.REFUSED, Cause.CONNECT) else 0
        record.unconnected = record.unconnected + 1 if outcome.cause is Cause.CONNECT_TIMEOUT else 0

    def _consider(self, record: Record, endpoint: Endpoint, now: float) -> list[object]:
        """Whether a rule says that this endpoint must go."""
        options = self._options
        if record.refused >= options.refused or record.unconnected >= options.connect_timeouts:
            return self._eject_connection(record, endpoint, _unconnected(record), now)
        reason = ""
        if record.row >= options.consecutive:
            reason = f"{record.row} failures in a row"
        elif not self._guard.on:
            good, bad = record.window.totals(now)
            if good + bad >= options.minimum and good < options.success_rate * (good + bad):
                reason = f"{good} of {good + bad} succeeded"
        if not reason or not self._may_go(endpoint, now):
            return []
        return self._eject(record, endpoint, reason, now)

    # Beside each other

    def review(self, now: float) -> None:
        """Compare the endpoints (housekeeper): who stands out by its failures, or is slow, goes."""
        options = self._options
        if not options.enabled or (options.outliers is None and options.slow is None) or now < self._reviewed:
            return
        self._reviewed = now + REVIEW
        if self._guard.on:
            return
        events: list[object] = []
        with self._lock:
            for endpoint, reason, over in self._found(now):
                if self._may_go(endpoint, now):
                    record = self._records[endpoint]
                    events += self._eject(record, endpoint, reason, now)
                    record.over = over
        for event in events:
            self._emit(event)

    def _found(self, now: float) -> list[Found]:
        options, found = self._options, []
        known = [(each, self._records[each]) for each in self._endpoints() if each in self._records]
        known = [(each, record) for each, record in known if each not in self.waiting]
        if options.outliers is not None:
            found += outliers(((each, *record.window.totals(now)) for each, record in known), options.outliers)
        if options.slow is not None:
            timed = ((each, record.times) for each, record in known if record.times is not None)
            found += slow(timed, options.slow, now)
        return found

    # Out

    def _may_go(self, endpoint: Endpoint, now: float) -> bool:
        """Whether another may be out for what it answered, and one would be left."""
        if endpoint in self.waiting or self._answers_out(now) >= int(len(self._endpoints()) * self._options.max_share):
            return False
        return self._others(endpoint, now)

    def _others(self, endpoint: Endpoint, now: float) -> bool:
        return any(each is not endpoint and each.availability.available(now) for each in self._endpoints())

    def _answers_out(self, now: float) -> int:
        """Endpoints that are out for what they answered."""
        return sum(
            (each in self.waiting and not self.waiting[each].connecting) or each.bars.get(Bar.OVERLOADED, 0.0) > now
            for each in self._endpoints()
        )

    def _eject(self, record: Record, endpoint: Endpoint, reason: str, now: float) -> list[object]:
        gate = self._gate_of(record)
        if endpoint not in self.waiting:
            if gate.k:
                gate.k = max(0, gate.k - int((now - record.since) / HEALTHY_SPAN))
            record.since = now
        record.wait = self._backoff.seconds(gate.k, self._rng)
        record.until = now + record.wait
        gate.k += 1
        record.connecting = False
        return self._out(record, endpoint, reason, now, until=record.until)

    def _eject_zone(self, zone: Locality, now: float) -> list[object]:
        """All of it that is still in, unless nothing would be left."""
        endpoints = self._endpoints()
        if not any(each.locality != zone and each.availability.available(now) for each in endpoints):
            return []
        events: list[object] = []
        for each in endpoints:
            if each.locality == zone:
                events += self._eject_connection(self._record_of(each), each, f"no connection to {zone}", now)
        return events

    def _eject_connection(self, record: Record, endpoint: Endpoint, reason: str, now: float) -> list[object]:
        if (endpoint in self.waiting and record.connecting) or not self._others(endpoint, now):
            return []
        if endpoint not in self.waiting:
            record.since = now
        record.connecting = True
        record.until = inf
        record.probe_at = now + spread(self._options.probe_interval, self._options.jitter, self._rng)
        return self._out(record, endpoint, reason, now, until=inf)

    def _out(self, record: Record, endpoint: Endpoint, reason: str, now: float, *, until: float) -> list[object]:
        self._gate_of(record).open(now, until)
        record.reason = reason
        record.word, record.followed = now, False
        record.row = record.refused = record.unconnected = 0
        self.waiting = {**self.waiting, endpoint: record}
        endpoint.epoch += 1
        endpoint.availability.bar(Bar.EJECTED, detail=reason)
        self._changed()
        return [EndpointEjected(self._service, now, endpoint.address, reason, until)]

    def _hold_off(self, endpoint: Endpoint, seconds: float | None, now: float) -> None:
        """It asked for time: not picked until then, as far as the cap for answers allows."""
        if seconds and self._may_go(endpoint, now):
            until = now + spread(seconds, self._options.jitter, self._rng)
            endpoint.availability.bar(Bar.OVERLOADED, until, f"Retry-After {seconds:.0f} s")
            self._changed()

    def _record_of(self, endpoint: Endpoint) -> Record:
        return self._records.get(endpoint) or self._records.setdefault(endpoint, Record(self._options))

    def _gate_of(self, record: Record) -> Gate:
        if record.gate is None:
            record.gate = Gate(backoff=self._backoff, rng=self._rng)
        return record.gate

    # Back

    def trial(
        self, retryable: bool, now: float, within: Container[Endpoint] | None = None
    ) -> tuple[Endpoint, GateLease] | None:
        """An endpoint whose time is over, of these: first for a call that may be retried, later for any."""
        for endpoint, gate in self._due(retryable, now, within):
            lease = gate.admit(now)
            if lease is not None:
                return endpoint, lease
        return None

    def next_trial(self, retryable: bool, now: float, within: Container[Endpoint] | None = None) -> Endpoint | None:
        """Whose trial it would be; nothing is taken."""
        return next((endpoint for endpoint, gate in self._due(retryable, now, within) if gate.admits(now)), None)

    def _due(self, retryable: bool, now: float, within: Container[Endpoint] | None) -> Iterator[tuple[Endpoint, Gate]]:
        for endpoint, record in self.waiting.items():
            if record.gate is None or (within is not None and endpoint not in within):
                continue
            due = record.until if retryable else record.until + record.wait
            if now >= due and not record.connecting and not record.followed and endpoint.bars.keys() <= {Bar.EJECTED}:
                yield endpoint, record.gate

    def probes(self, now: float) -> list[Endpoint]:
        """Endpoints due for a background connect; each is due again one interval later."""
        due = [
            each
            for each, record in self.waiting.items()
            if record.connecting and not record.followed and record.probe_at <= now
        ]
        for endpoint in due:
            interval = spread(self._options.probe_interval, self._options.jitter, self._rng)
            self.waiting[endpoint].probe_at = now + interval
        return due

    def connected(self, endpoint: Endpoint, ok: bool, now: float) -> None:
        """The result of a background connect."""
        with self._lock:
            record = self.waiting.get(endpoint)
            if not ok or record is None or not record.connecting:
                return
            events = self._restore(record, endpoint, now)
        for event in events:
            self._emit(event)

    def forget(self, endpoints: Sequence[Endpoint]) -> None:
        """These are gone from the service."""
        with self._lock:
            self.waiting = {each: record for each, record in self.waiting.items() if each not in endpoints}
            for each in endpoints:
                self._records.pop(each, None)

    def _restore(self, record: Record, endpoint: Endpoint, now: float) -> list[object]:
        away = now - record.since
        self._gate_of(record).close(now)
        record.window.clear()
        if record.times is not None:
            record.times.clear()
        record.over = inf
        record.row = record.refused = record.unconnected = 0
        record.since = now
        record.word, record.followed = -now, False
        record.connecting = False
        self.waiting = {each: other for each, other in self.waiting.items() if each is not endpoint}
        endpoint.epoch += 1
        self._reset(endpoint, now)
        if self._options.slow_start > 0:
            endpoint.availability.warm(now, min(self._options.slow_start, away))
        endpoint.availability.lift(Bar.EJECTED)
        self._changed()
        return [EndpointRestored(self._service, now, endpoint.address, away)]


def _unconnected(record: Record) -> str:
    return "connection refused" if record.refused else "no connection"
