"""Simulation: one contender in one scenario, from its first arrival to its last answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshware.core.endpoint import Locality
from meshware.testing.simulation.client import MeshClient
from meshware.testing.simulation.events import Events
from meshware.testing.simulation.faults import Faults
from meshware.testing.simulation.oracle import OracleClient
from meshware.testing.simulation.replica import Replica
from meshware.testing.simulation.scenario import Scenario
from meshware.testing.simulation.tally import Tally
from meshware.testing.simulation.workload import Arrival, workload

ORACLE = "oracle"


def address(number: int) -> str:
    """Of a replica, by its number in the scenario."""
    return f"10.{number // 62_500}.{number // 250 % 250}.{number % 250 + 1}:80"


class Simulation:
    """A seeded fleet in simulated time, called by the production mesh: the same Call, services and strategies.

    `strategy` is what settings would say, or "oracle". `settings` stand above the scenario's own. Contenders that
    are given the same `arrivals` (see `workload`) differ in nothing but their policies. Takes no network and no
    real time; the same seed gives the same result.
    """

    def __init__(
        self,
        scenario: Scenario,
        *,
        strategy: str | Mapping[str, Any] = "adaptive",
        settings: Mapping[str, Any] | None = None,
        seed: int = 1,
        arrivals: Sequence[Arrival] | None = None,
    ) -> None:
        self.arrivals = workload(scenario, seed) if arrivals is None else arrivals
        self.scenario = scenario = _as_long(scenario, self.arrivals)
        self.events = Events()
        self.tally = Tally(begin=scenario.begin, deadline=scenario.deadline)
        self.replicas = [
            Replica(
                address(number),
                self.events,
                slots=each.slots,
                speed=each.speed,
                locality=Locality.parse(each.locality),
                reports=scenario.reports,
                room=None if each.queue is None else int(each.queue * each.slots * each.speed / scenario.mean_work),
            )
            for number, each in enumerate(scenario.members())
        ]
        known = {each.address: each for each in self.replicas}
        self.clients = [
            self._client(known, strategy, settings or {}, Locality.parse(each.locality), 1000 * seed + number)
            for number, each in enumerate(scenario.callers())
        ]
        Faults(scenario, self.replicas, self.events, self.clients)

    def run(self) -> Tally:
        """Let all arrivals come and be answered; what the callers saw."""
        events, clients = self.events, self.clients
        for arrival in self.arrivals:
            events.run(arrival.at)
            clients[arrival.client].arrive(arrival)
        events.run(self.scenario.duration + self.scenario.deadline + 1)
        return self.tally

    def _client(
        self,
        known: Mapping[str, Replica],
        strategy: str | Mapping[str, Any],
        settings: Mapping[str, Any],
        locality: Locality,
        seed: int,
    ) -> MeshClient | OracleClient:
        if strategy == ORACLE:
            return OracleClient(self.scenario, known, self.events, self.tally, locality=locality, seed=seed)
        endpoints = [
            {"address": address, "weight": each.weight, "locality": each.locality}
            for address, each in zip(known, self.scenario.members(), strict=True)
        ]
        written = {"timeout": self.scenario.deadline, **self.scenario.settings, **settings}
        written |= {"strategy": strategy, "endpoints": endpoints}
        return MeshClient(self.scenario, known, self.events, self.tally, settings=written, locality=locality, seed=seed)


def _as_long(scenario: Scenario, arrivals: Sequence[Arrival]) -> Scenario:
    """A trace may go on for longer than the scenario says."""
    end = arrivals[-1].at if arrivals else 0.0
    return scenario if end <= scenario.duration else scenario.model_copy(update={"duration": end})
