"""Contenders that know more than a client can: the yardsticks.

The oracle knows every queue, every request on the wire, every speed and the health of each replica, but neither
the work of a request nor the future. It is greedy: each request goes where it is expected to be done first.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from random import Random

from meshware.core.endpoint import Locality
from meshware.core.outcome import Cause, LoadReport
from meshware.testing.simulation.events import Events
from meshware.testing.simulation.replica import Replica
from meshware.testing.simulation.scenario import Scenario
from meshware.testing.simulation.tally import Tally
from meshware.testing.simulation.workload import Arrival


class OracleClient:
    """Sends each request to the replica where it should be done first. No policy, no retry."""

    def __init__(
        self,
        scenario: Scenario,
        replicas: Mapping[str, Replica],
        events: Events,
        tally: Tally,
        *,
        locality: Locality,
        seed: int,
    ) -> None:
        self.events, self.tally = events, tally
        self.deadline = scenario.deadline
        self._works = {each.path: each.work for each in scenario.operations}
        self._all = [(each, scenario.distance(locality, each.locality)) for each in replicas.values()]
        self._ways, self._drained = self._all, set[str]()
        self._rng = Random(seed)

    def arrive(self, arrival: Arrival) -> None:
        """A call begins."""
        work = self._works[arrival.operation]
        best, least, ties = self._ways[0], inf, 1
        for way in self._ways:
            cost = expected(way[0], way[1], work, arrival.operation)
            if cost < least:
                best, least, ties = way, cost, 1
            elif cost == least:
                ties += 1
                if self._rng.random() * ties < 1:
                    best = way
        if least == inf:
            best = min(self._ways, key=lambda way: way[0].present)
        replica, distance = best
        replica.present += 1
        self.tally.asked(replica.address, self.events.now)
        exchange = _Exchange(self, arrival, distance / 2)
        self.events.at(self.events.now + distance / 2, replica.arrive, exchange)
        self.events.at(arrival.at + self.deadline, exchange.late)

    def drain(self, address: str, out: bool) -> None:
        """A drained replica is as good as gone, until it is put back."""
        (self._drained.add if out else self._drained.discard)(address)
        self._ways = [way for way in self._all if way[0].address not in self._drained] or self._all


def expected(replica: Replica, distance: float, work: float, operation: str) -> float:
    """Seconds until a request sent now is answered: its own work, after the queue that it joins."""
    if not replica.healthy:
        return inf
    share, takes = replica.gray
    work = (1 - share) * work * replica.slower.get(operation, 1.0) + share * takes
    return distance + work / replica.speed * max(1.0, (replica.present + 1) / replica.slots)


class _Exchange:
    """One request on its way."""

    __slots__ = ("arrival", "client", "draw", "expires", "operation", "over", "wire", "work")

    turn = 0

    def __init__(self, client: OracleClient, arrival: Arrival, wire: float) -> None:
        self.client, self.arrival, self.wire = client, arrival, wire
        self.operation, self.work, self.draw = arrival.operation, arrival.work, arrival.draw
        self.expires = arrival.at + client.deadline
        self.over = False

    def reply(self, status: int, report: LoadReport | None) -> None:
        """The answer goes back."""
        events = self.client.events
        events.at(events.now + self.wire, self._done, status == 200)

    def broken(self, cause: Cause) -> None:
        """It is lost."""
        self._done(False)

    def late(self) -> None:
        """Its deadline has come."""
        self._done(False)

    def _done(self, good: bool) -> None:
        if not self.over:
            self.over = True
            self.client.tally.done(self.arrival.at, self.client.events.now, good=good)
