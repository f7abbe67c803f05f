"""The faults of a scenario, put upon the replicas at their times and taken off again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from meshware.testing.simulation.events import Events
from meshware.testing.simulation.replica import Replica
from meshware.testing.simulation.scenario import Fault, Scenario


class Drainable(Protocol):
    """Who may be told that a replica is taken out by hand."""

    def drain(self, address: str, out: bool) -> None:
        """It is taken out, or put back."""
        ...


class Faults:
    """Plans every fault of a scenario."""

    def __init__(
        self, scenario: Scenario, replicas: Sequence[Replica], events: Events, clients: Sequence[Drainable]
    ) -> None:
        self._events = events
        self._clients = clients
        for fault in scenario.faults:
            for replica in (each for number, each in enumerate(replicas) if fault.strikes(number, each.locality)):
                at = fault.at
                while at < scenario.duration:
                    events.at(at, self._begin, fault, replica, replica.speed)
                    events.at(at + fault.lasts, self._end, fault, replica, replica.speed)
                    at += fault.every or scenario.duration

    def _begin(self, fault: Fault, replica: Replica, speed: float) -> None:
        match fault.kind:
            case "slow" if fault.path is not None:
                replica.slower[fault.path] = fault.factor
            case "slow":
                replica.set_speed(speed / fault.factor)
            case "stall":
                replica.set_speed(0.0)
            case "fail":
                replica.failing = fault.rate
            case "silent":
                replica.silent = True
            case "crash":
                replica.crash()
            case "drain":
                self._drain(replica, True)

    def _end(self, fault: Fault, replica: Replica, speed: float) -> None:
        match fault.kind:
            case "slow" if fault.path is not None:
                replica.slower.pop(fault.path, None)
            case "slow" | "stall":
                replica.set_speed(speed)
            case "fail":
                replica.failing = 0.0
            case "silent":
                replica.silent = False
            case "crash":
                replica.refusing = False
                if fault.cold:
                    replica.set_speed(speed / fault.factor)
                    self._events.at(self._events.now + fault.cold, replica.set_speed, speed)
            case "drain":
                self._drain(replica, False)

    def _drain(self, replica: Replica, out: bool) -> None:
        for client in self._clients:
            client.drain(replica.address, out)
