"""A replica: slots that work at some speed, a queue in order of arrival, and what may be wrong with it.

Work is in seconds at speed 1. What was given up by its caller is worked on all the same, as HTTP/1.1 servers do.
"""

from __future__ import annotations

from collections import deque
from math import exp, inf
from random import Random
from typing import NamedTuple, Protocol

from meshware.core.endpoint import Locality
from meshware.core.outcome import Cause, LoadReport
from meshware.testing.simulation.events import Events

FAST_FAILURE = 0.001
"""Seconds after which a failing replica says so."""

RATE_SPAN = 1.0
"""Time constant of the rates that a replica reports (seconds)."""


class Gray(NamedTuple):
    """A share of the requests, and the work that each of them is then."""

    share: float
    takes: float

    def strikes(self, draw: float, turn: int) -> bool:
        """Whether a request is one of them, by its uniform draw. It is so at whichever replica, so that contenders are
        given the same load; that it was sent `turn` times before makes it another draw."""
        return self.share > 0 and Random(f"{draw} {turn}").random() < self.share


NOT_GRAY = Gray(0.0, 0.0)


class Exchange(Protocol):
    """One request at a replica: what it needs, and who wants to hear of it."""

    work: float
    draw: float
    """Uniform in [0, 1): a replica that fails with some probability fails this one if that is more."""

    turn: int
    """So many times was it sent before, by retries and hedges."""

    expires: float
    """When its caller no longer waits for it."""

    operation: str
    """What is asked for: a replica may be slow at one thing only."""

    def reply(self, status: int, report: LoadReport | None) -> None:
        """The answer leaves the replica now."""
        ...

    def broken(self, cause: Cause) -> None:
        """The connection breaks now."""
        ...


class Job:
    """An exchange in a slot, and when it will be done at the present speed."""

    __slots__ = ("exchange", "finish", "plan")

    def __init__(self, exchange: Exchange, finish: float) -> None:
        self.exchange = exchange
        self.finish = finish
        self.plan = 0
        """Number of the plan that holds: another speed or a crash makes those before void."""


class Replica:
    """One server. `present` is what is in it and on the wire to it, for who knows everything.

    `room`: so many may wait; it begins nothing then that nobody waits for. None: as many as come.
    """

    def __init__(
        self,
        address: str,
        events: Events,
        *,
        slots: int,
        speed: float,
        locality: Locality,
        reports: bool = False,
        room: int | None = None,
    ) -> None:
        self.address = address
        self.events = events
        self.slots = slots
        self.speed = speed
        self.locality = locality
        self.reports = reports
        self.room = room
        self.present = 0
        self.slower: dict[str, float] = {}
        self.failing = 0.0
        self.gray = NOT_GRAY
        self.silent = self.refusing = False
        self._queue: deque[Exchange] = deque()
        self._jobs: dict[Job, None] = {}  # in order, so that the same seed gives the same result
        self._done = self._failed = 0.0  # per second, decaying
        self._counted = 0.0

    @property
    def healthy(self) -> bool:
        """Whether a request sent now may be answered well."""
        return not (self.silent or self.refusing or self.failing or self.speed <= 0)

    def arrive(self, exchange: Exchange) -> None:
        """A request is here."""
        if self.refusing:
            self.present -= 1
            exchange.broken(Cause.REFUSED)
        elif self.silent:
            self.present -= 1
        elif exchange.draw < self.failing:
            self.events.at(self.events.now + FAST_FAILURE, self._fail, exchange)
        elif len(self._jobs) < self.slots:
            self._start(exchange)
        elif self.room is None or len(self._queue) < self.room:
            self._queue.append(exchange)
        else:
            self.events.at(self.events.now + FAST_FAILURE, self._fail, exchange, 503)

    def set_speed(self, speed: float) -> None:
        """From now on work takes so much less or more time, that in hand included; 0 is a standstill."""
        now, before = self.events.now, self.speed
        self.speed = speed
        for job in self._jobs:
            left = (job.finish - now) * before if before > 0 else job.exchange.work
            job.exchange.work = left
            self._plan(job)

    def crash(self) -> None:
        """All that is here breaks; what comes is refused until `refusing` is lifted."""
        self.refusing = True
        lost = [job.exchange for job in self._jobs] + list(self._queue)
        for job in self._jobs:
            job.plan += 1
        self._jobs.clear()
        self._queue.clear()
        self.present -= len(lost)
        for exchange in lost:
            exchange.broken(Cause.RESET)

    def report(self, done: float = 0.0, failed: float = 0.0) -> LoadReport | None:
        """What it says of itself (ORCA), when it does; and so much more is done."""
        if not self.reports:
            return None
        keep = exp((self._counted - self.events.now) / RATE_SPAN)
        self._done, self._failed = self._done * keep + done, self._failed * keep + failed
        self._counted = self.events.now
        in_flight = len(self._jobs) + len(self._queue)
        return LoadReport(in_flight / self.slots, self._done / RATE_SPAN, self._failed / RATE_SPAN)

    def _start(self, exchange: Exchange) -> None:
        if self.slower:
            exchange.work *= self.slower.get(exchange.operation, 1.0)
        if self.gray.strikes(exchange.draw, exchange.turn):
            exchange.work = self.gray.takes
        job = Job(exchange, inf)
        self._jobs[job] = None
        self._plan(job)

    def _plan(self, job: Job) -> None:
        job.plan += 1
        job.finish = self.events.now + job.exchange.work / self.speed if self.speed > 0 else inf
        if job.finish < inf:
            self.events.at(job.finish, self._finish, job, job.plan)

    def _finish(self, job: Job, plan: int) -> None:
        if job.plan != plan:  # not the moment: that may be planned again for the same one
            return
        del self._jobs[job]
        self.present -= 1
        self._go_on()
        job.exchange.reply(200, self.report(1.0))

    def _go_on(self) -> None:
        """Begin what has waited longest."""
        while self._queue:
            exchange = self._queue.popleft()
            if self.room is None or self.events.now < exchange.expires:
                self._start(exchange)
                return
            self.present -= 1

    def _fail(self, exchange: Exchange, status: int = 500) -> None:
        self.present -= 1
        exchange.reply(status, self.report(1.0, 1.0))
