"""A client process: the production mesh, its calls driven by simulated events instead of sockets.

Nothing here decides: `Call` says what to do, as it says to the drivers, and the housekeeper's rounds are its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from meshware.core.availability import Bar
from meshware.core.call import Attempt, Call, Deliver, Lost, Raise, Retry, Step
from meshware.core.endpoint import Endpoint, Locality
from meshware.core.errors import MeshError, Overloaded
from meshware.core.outcome import Cause, Ending, LoadReport, Outcome
from meshware.core.request import Request
from meshware.housekeeper import IDLE, PACE, Done, Housekeeper
from meshware.mesh import Mesh
from meshware.settings.load import load
from meshware.testing.simulation.events import Events
from meshware.testing.simulation.replica import Replica
from meshware.testing.simulation.scenario import Scenario
from meshware.testing.simulation.tally import Tally
from meshware.testing.simulation.workload import Arrival

NAME = "simulated"


class MeshClient:
    """One process with a mesh of its own."""

    def __init__(
        self,
        scenario: Scenario,
        replicas: Mapping[str, Replica],
        events: Events,
        tally: Tally,
        *,
        settings: Mapping[str, Any],
        locality: Locality,
        seed: int,
    ) -> None:
        self.scenario, self.events, self.tally = scenario, events, tally
        self.replicas = replicas
        self.wires = {each.address: scenario.distance(locality, each.locality) / 2 for each in replicas.values()}
        self.requests = {each.path: Request("GET", NAME, each.path, {}) for each in scenario.operations}
        self.mesh = _mesh(settings, locality, events, seed)
        self.service = self.mesh.services[NAME]
        self.endpoints = {each.address: each for each in self.service.endpoints}
        self._keeper = Housekeeper(self.mesh.services.values, clock=lambda: events.now, probes=lambda: _Connects(self))
        self.service.wake = self._wake
        self._last = self._next = 0.0
        events.at(0.0, self._round, 0.0)

    # Calls

    def arrive(self, arrival: Arrival) -> None:
        """A call begins."""
        now = self.events.now
        call = Call(self.service, self.requests[arrival.operation])
        try:
            attempt = call.begin(now)
        except MeshError as error:
            self.tally.done(arrival.at, now, good=False, refused=isinstance(error, Overloaded))
            return
        self._send(call, attempt, arrival, now)
        if attempt.hedge_at is not None:
            self.events.at(attempt.hedge_at, self._hedge, call, arrival)

    def _send(self, call: Call, attempt: Attempt, arrival: Arrival, at: float) -> None:
        _Exchange(self, call, attempt, arrival).leave(at)
        self.events.at(attempt.deadline, self._late, call, attempt, arrival)

    def _hedge(self, call: Call, arrival: Arrival) -> None:
        attempt = call.hedge(self.events.now)
        if attempt is not None:
            self._send(call, attempt, arrival, self.events.now)

    def _late(self, call: Call, attempt: Attempt, arrival: Arrival) -> None:
        """Its deadline has come; the call may let it go on."""
        if attempt.outcome is not None:
            return
        now = self.events.now
        until = call.overdue(attempt, now)
        if until > now:
            self.events.at(until, self._late, call, attempt, arrival)
        else:
            error = TimeoutError("simulated")
            self.answered(
                call, attempt, arrival, Outcome(elapsed=now - attempt.began, cause=Cause.TIMEOUT, error=error)
            )

    def answered(self, call: Call, attempt: Attempt, arrival: Arrival, outcome: Outcome) -> None:
        """What became of an attempt; do what the call says."""
        now = self.events.now
        step: Step = call.answered(attempt, outcome, now)
        if isinstance(step, Deliver):
            self._deliver(call, step.attempt, arrival)
        elif isinstance(step, Retry):
            if outcome.cause is None:
                call.ended(attempt, Ending.DROPPED, outcome.elapsed, now)
            self._send(call, step.attempt, arrival, now + step.after)
        elif isinstance(step, Raise):
            self.tally.done(arrival.at, now, good=False)
        elif isinstance(step, Lost) and outcome.cause is None:
            call.ended(attempt, Ending.DROPPED, outcome.elapsed, now)

    def _deliver(self, call: Call, attempt: Attempt, arrival: Arrival) -> None:
        outcome, now = attempt.outcome, self.events.now
        assert outcome is not None
        self.tally.done(arrival.at, now, good=outcome.status == 200)
        call.ended(attempt, Ending.COMPLETE, outcome.elapsed, now)
        if call.held is not None and call.held is not attempt:
            call.ended(call.held, Ending.DROPPED, 0.0, now)
        for other in call.open:
            self.answered(call, other, arrival, Outcome(elapsed=now - other.began, cause=Cause.CUT))

    # The housekeeper

    def _wake(self) -> None:
        """Something has changed: a round soon, as the thread would."""
        due = max(self.events.now, self._last + PACE)
        if due < self._next:
            self._next = due
            self.events.at(due, self._round, due)

    def _round(self, planned: float) -> None:
        if planned != self._next:
            return
        now = self._last = self.events.now
        self._next = now + (PACE if self._keeper.round(now) else IDLE)
        self.events.at(self._next, self._round, self._next)

    def drain(self, address: str, out: bool) -> None:
        """An operator takes an endpoint out, or puts it back."""
        availability = self.endpoints[address].availability
        if out:
            availability.bar(Bar.DRAINED)
        else:
            availability.lift(Bar.DRAINED)
        self.service.change()


class _Exchange:
    """One attempt on its way: there, in the replica, and back."""

    __slots__ = ("arrival", "attempt", "call", "client", "draw", "expires", "operation", "turn", "wire", "work")

    def __init__(self, client: MeshClient, call: Call, attempt: Attempt, arrival: Arrival) -> None:
        self.client, self.call, self.attempt, self.arrival = client, call, attempt, arrival
        self.operation, self.draw = arrival.operation, arrival.draw
        self.turn = len(call.tried) - 1
        self.work = arrival.again if self.turn else arrival.work
        self.wire = client.wires[attempt.endpoint.address]
        self.expires = call.deadline.at

    def leave(self, at: float) -> None:
        """Send it, unless its caller has given up by then."""
        client = self.client
        replica = client.replicas[self.attempt.endpoint.address]
        replica.present += 1
        client.tally.asked(replica.address, at)
        client.events.at(at + self.wire, replica.arrive, self)

    def reply(self, status: int, report: LoadReport | None) -> None:
        """The answer goes back."""
        events = self.client.events
        events.at(events.now + self.wire, self._back, status, None, report)

    def broken(self, cause: Cause) -> None:
        """The caller's kernel hears of it after half a round trip."""
        events = self.client.events
        events.at(events.now + self.wire, self._back, None, cause, None)

    def _back(self, status: int | None, cause: Cause | None, report: LoadReport | None) -> None:
        attempt = self.attempt
        if attempt.outcome is not None:  # its caller has given up
            return
        elapsed = self.client.events.now - attempt.began
        sent = cause is not Cause.REFUSED
        error = None if cause is None else ConnectionError(cause.value)
        outcome = Outcome(
            elapsed=elapsed, status=status, cause=cause, error=error, sent=sent, first_byte=elapsed, report=report
        )
        self.client.answered(self.call, attempt, self.arrival, outcome)


class _Connects:
    """Background connects, in place of the housekeeper's sockets."""

    def __init__(self, client: MeshClient) -> None:
        self._client = client
        self._open: dict[Endpoint, tuple[float, bool, Done]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def start(self, endpoint: Endpoint, timeout: float, done: Done, now: float) -> None:
        """Begin a connect."""
        replica = self._client.replicas[endpoint.address]
        self._open[endpoint] = (now + 2 * self._client.wires[endpoint.address], not replica.refusing, done)

    def poll(self, now: float) -> None:
        """Say of those that are over how they ended."""
        for endpoint, (at, ok, done) in tuple(self._open.items()):
            if at <= now:
                del self._open[endpoint]
                done(endpoint, ok, now)

    def close(self) -> None:
        """None is left."""
        self._open.clear()


def _mesh(settings: Mapping[str, Any], locality: Locality, events: Events, seed: int) -> Mesh:
    source = {"services": {NAME: settings}, "locality": str(locality)}
    return Mesh(load(source), rng=Random(seed), clock=lambda: events.now)
