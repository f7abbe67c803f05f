"""The faults of a scenario, put upon the replicas at their times and taken off again. Those that overlap add up."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import Protocol

from meshware.testing.simulation.events import Events
from meshware.testing.simulation.replica import NOT_GRAY, Gray, Replica
from meshware.testing.simulation.scenario import Fault, Scenario


class Drainable(Protocol):
    """Who may be told that a replica is taken out by hand."""

    def drain(self, address: str, out: bool) -> None:
        """It is taken out, or put back."""
        ...


class Faults:
    """Plans every fault of a scenario; of one that comes again, the next time when the one before has ended."""

    def __init__(
        self, scenario: Scenario, replicas: Sequence[Replica], events: Events, clients: Sequence[Drainable]
    ) -> None:
        self._events = events
        self._duration = scenario.duration
        conditions = [Condition(each, events, clients) for each in replicas]
        for fault in scenario.faults:
            for number, condition in enumerate(conditions):
                if fault.strikes(number, condition.replica.locality):
                    self._plan(fault, condition, fault.at)

    def _plan(self, fault: Fault, condition: Condition, at: float) -> None:
        if at < self._duration:
            self._events.at(at, condition.begin, fault)
            self._events.at(at + fault.lasts, self._end, fault, condition, at)

    def _end(self, fault: Fault, condition: Condition, began: float) -> None:
        condition.end(fault)
        if fault.every is not None:
            self._plan(fault, condition, began + fault.every)


class Condition:
    """The faults in force at one replica, which is what they make of it together."""

    def __init__(self, replica: Replica, events: Events, clients: Sequence[Drainable]) -> None:
        self.replica = replica
        self._events = events
        self._clients = clients
        self._speed = replica.speed
        self._faults: list[Fault] = []
        self._cold = 1.0  # so many times slower since it is back from a crash
        self._returns = 0
        self._drained = False

    def begin(self, fault: Fault) -> None:
        """From now on it is in force."""
        self._faults.append(fault)
        if fault.kind == "crash":
            self._cold = 1.0
            self.replica.crash()
        self._apply()

    def end(self, fault: Fault) -> None:
        """It is no longer in force; the others are."""
        self._faults.remove(fault)
        if fault.kind == "crash" and fault.cold:
            self._returns += 1
            self._cold = fault.factor
            self._events.at(self._events.now + fault.cold, self._warm, self._returns)
        self._apply()

    def _warm(self, returned: int) -> None:
        if returned == self._returns:  # or it has crashed since, and come back cold once more
            self._cold = 1.0
            self._apply()

    def _apply(self) -> None:
        replica, kinds = self.replica, {each.kind for each in self._faults}
        replica.silent = "silent" in kinds
        replica.refusing = "crash" in kinds
        replica.failing = self._failing()
        replica.slower = self._slower()
        replica.gray = self._gray()
        speed = self._speed / self._slowness()
        if speed != replica.speed:
            replica.set_speed(speed)
        self._drain("drain" in kinds)

    def _failing(self) -> float:
        """The share that one fault or another fails: they know nothing of each other."""
        failing = 0.0
        for each in self._faults:
            if each.kind == "fail":
                failing += each.rate * (1.0 - failing)
        return failing

    def _gray(self) -> Gray:
        """Of two that make it late, the later one is in force."""
        return next((Gray(each.rate, each.takes) for each in reversed(self._faults) if each.kind == "gray"), NOT_GRAY)

    def _slower(self) -> dict[str, float]:
        """How many times slower it is at single operations."""
        slower: dict[str, float] = {}
        for each in self._faults:
            if each.kind == "slow" and each.path is not None:
                slower[each.path] = slower.get(each.path, 1.0) * each.factor
        return slower

    def _slowness(self) -> float:
        """How many times slower it is at everything."""
        slow = prod(each.factor for each in self._faults if each.kind == "slow" and each.path is None)
        return inf if any(each.kind == "stall" for each in self._faults) else slow * self._cold

    def _drain(self, out: bool) -> None:
        if out == self._drained:
            return
        self._drained = out
        for client in self._clients:
            client.drain(self.replica.address, out)
