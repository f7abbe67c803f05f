"""Which requests a server takes on, and which it refuses before any work is done for them.

One object per mesh; every door in asks it. It looks, in this order, at the rate of the caller, at how long the request
has waited already, at how many are being worked on, and at whether the answer can be there in time. The last lets one a
second through to learn from it, so it is asked of those only that nothing else refuses.

A place is an entry in a dict, taken under a lock and given back by popping it, without one: so it may be given back by
a finalizer, and never twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from math import ceil
from threading import Lock

from meshware.core.criticality import Criticality
from meshware.core.feasible import Feasible
from meshware.core.operations import Named
from meshware.core.policy import Rng
from meshware.limiting.arrival import Arrival, Refusal, under
from meshware.limiting.concurrency import KINDS, ConcurrencyLimit, LimitOptions
from meshware.limiting.queue_age import QueueAge, QueueOptions
from meshware.limiting.rate import Buckets, RateOptions

MOST_WAIT = 9
"""Whole seconds after which a refused caller may be told to come again, at most, before the jitter."""

SHARES = {Criticality.CRITICAL: 1.0, Criticality.DEFAULT: 0.9, Criticality.SHEDDABLE: 0.6}
"""Of the limit that each may fill, rounded up: a tenth is kept for the critical, three more from what may be shed."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second under these paths; of each caller, or of all together."""

    options: RateOptions
    prefix: str = "/"
    each: bool = True


@dataclass(frozen=True, slots=True)
class AdmissionOptions:
    """What is looked at. `kind`: of the limit, None for none; `prefixes`: the criticality of paths."""

    kind: str | None = None
    limit: LimitOptions = field(default_factory=LimitOptions)
    queue: QueueOptions | None = None
    feasible: bool = True
    rates: tuple[Rate, ...] = ()
    prefixes: Mapping[str, Criticality] = field(default_factory=dict)
    exempt: tuple[str, ...] = ()


class Admission:
    """Thread-safe. `refused` counts what was refused, by the reason."""

    def __init__(self, options: AdmissionOptions, *, rng: Rng) -> None:
        self.options = options
        self.refused: Counter[str] = Counter()
        self._rng = rng
        self._lock = Lock()
        self._open: dict[int, None] = {}
        self._numbers = count()
        self._limit: ConcurrencyLimit | None = None if options.kind is None else KINDS[options.kind](options.limit)
        self._queue = None if options.queue is None else QueueAge(options.queue)
        self._feasible: Named[Feasible] | None = Named(lambda name: Feasible()) if options.feasible else None
        self._rates = [(each, Buckets(each.options)) for each in options.rates]
        self._prefixes = sorted(options.prefixes.items(), key=lambda each: -len(each[0]))

    @property
    def in_flight(self) -> int:
        """Requests that hold a place."""
        return len(self._open)

    @property
    def limit(self) -> float | None:
        """Requests at once, as far as is known by now; None: as many as come."""
        return None if self._limit is None else self._limit.limit

    def criticality(self, said: Criticality | None, path: str) -> Criticality:
        """What a trusted caller said; else what is set for the longest prefix of the path."""
        if said is not None or not self._prefixes:
            return said or Criticality.DEFAULT
        for prefix, each in self._prefixes:
            if under(path, prefix):
                return each
        return Criticality.DEFAULT

    def admit(self, arrival: Arrival, criticality: Criticality, now: float) -> Ticket | Refusal:
        """A ticket for one that may begin; to refuse takes a few microseconds."""
        exempt = self.options.exempt and any(arrival.under(each) for each in self.options.exempt)
        found = None if exempt else self._look(arrival, criticality, now)
        if isinstance(found, Refusal):
            with self._lock:
                self.refused[found.reason] += 1
            return found
        return Ticket(self, arrival, now) if found is None else Place(self, arrival, now, self._open, found)

    def _look(self, arrival: Arrival, criticality: Criticality, now: float) -> int | Refusal | None:
        """Why not; else the number of its place, where places are limited."""
        if self._rates:
            wait = self._over_rate(arrival, now)
            if wait > 0.0:
                return Refusal(429, "rate", self._later(wait))
        place = None
        if self._limit is not None or self._queue is not None:
            with self._lock:
                place = self._place(arrival, criticality, now)
        if isinstance(place, Refusal) or self._finishes(arrival, now):
            return place
        if place is not None:
            self._open.pop(place, None)
        return Refusal(504, "deadline")

    def _finishes(self, arrival: Arrival, now: float) -> bool:
        """Whether it will probably be answered in time."""
        deadline = arrival.deadline
        if deadline is None or self._feasible is None:
            return True
        figure = self._feasible.known(arrival.method, arrival.path)
        return figure is None or figure.allows(deadline.at - now, now)

    def _over_rate(self, arrival: Arrival, now: float) -> float:
        """Seconds until there is a token again; 0.0 with one taken from each that it falls under."""
        with self._lock:
            for rate, buckets in self._rates:
                if arrival.under(rate.prefix):
                    wait = buckets.wait(arrival.key if rate.each else "", now)
                    if wait > 0.0:
                        return wait
        return 0.0

    def _place(self, arrival: Arrival, criticality: Criticality, now: float) -> int | Refusal | None:
        queue, limit, waited = self._queue, self._limit, arrival.waited
        if queue is not None and waited is not None and queue.refuses(waited, criticality, now):
            return Refusal(503, "queue", self._later())
        if limit is None:
            return None
        in_flight = len(self._open)
        if in_flight >= ceil(SHARES[criticality] * limit.limit):
            rest = criticality is Criticality.SHEDDABLE and in_flight < ceil(SHARES[Criticality.DEFAULT] * limit.limit)
            return Refusal(503, "sheddable" if rest else "limit", self._later())
        number = next(self._numbers)
        self._open[number] = None
        return number

    def _later(self, wait: float = 1.0) -> int:
        """Whole seconds, one more for half of them: all together would be the next peak."""
        return min(MOST_WAIT, ceil(wait)) + (self._rng.random() < 0.5)

    def answered(self, arrival: Arrival, elapsed: float, status: int, now: float) -> None:
        """An answer begins, so many seconds after the request was let in."""
        if self._feasible is not None and status < 400:
            self._feasible.at(arrival.method, arrival.path).record(elapsed, now)
        limit = self._limit
        if limit is None:
            return
        late = arrival.deadline is not None and now > arrival.deadline.at
        with self._lock:
            if late or status in (503, 504):
                limit.bad()
            elif status < 500:
                limit.good(elapsed, len(self._open), now)

    def __repr__(self) -> str:
        limit = "no limit" if self.limit is None else f"limit {int(self.limit)}"
        return f"<Admission: {self.in_flight} in flight, {limit}>"


class Ticket:
    """One request that was let in."""

    __slots__ = ("_admission", "_arrival", "_began")

    held = False
    """Whether it has a place."""

    def __init__(self, admission: Admission, arrival: Arrival, now: float) -> None:
        self._admission = admission
        self._arrival = arrival
        self._began = now

    def answered(self, status: int, now: float) -> None:
        """Its answer begins with this status."""
        self._admission.answered(self._arrival, now - self._began, status, now)

    def end(self) -> None:
        """Nobody works on it any more: the answer has gone out, or has become a stream. Idempotent, takes no lock."""

    def __repr__(self) -> str:
        return f"<Ticket {'with' if self.held else 'without'} a place>"


class Place(Ticket):
    """One that has a place among so many."""

    __slots__ = ("_number", "_open")

    def __init__(
        self, admission: Admission, arrival: Arrival, now: float, opened: dict[int, None], number: int
    ) -> None:
        super().__init__(admission, arrival, now)
        self._open = opened
        self._number = number

    @property
    def held(self) -> bool:  # type: ignore[override]
        """Whether it has it still."""
        return self._number in self._open

    def end(self) -> None:
        """It is given back."""
        self._open.pop(self._number, None)

    __del__ = end
