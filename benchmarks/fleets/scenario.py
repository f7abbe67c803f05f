"""What is done to the fleet, as the simulator has it: the same model, work and arrivals, here on real sockets."""

from __future__ import annotations

import tomllib
from math import inf
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from meshware.testing.simulation.replica import NOT_GRAY, Gray
from meshware.testing.simulation.scenario import Clients, Fault, Scenario

TABLE = Path(__file__).with_name("scenarios.toml")


class Live(Scenario):
    """One scenario of the table."""

    clients: Annotated[tuple[Clients, ...], Field(min_length=1)] = (Clients(count=1),)

    @property
    def processes(self) -> int:
        """How many client processes."""
        return sum(each.count for each in self.clients)

    def lasting(self, seconds: float) -> Live:
        """The same in so many seconds: every time of the table becomes shorter or longer."""
        factor = seconds / self.duration
        faults = [
            each.model_copy(update={key: factor * getattr(each, key) for key in ("at", "lasts", "cold")})
            for each in self.faults
        ]
        times: dict[str, Any] = {"duration": seconds, "begin": factor * self.begin, "faults": tuple(faults)}
        if self.bursts is not None:
            bursts = {key: factor * getattr(self.bursts, key) for key in ("every", "lasts")}
            times["bursts"] = self.bursts.model_copy(update=bursts)
        return self.model_copy(update=times)


class State(NamedTuple):
    """What is wrong with one replica at some moment."""

    slower: float = 1.0
    gray: Gray = NOT_GRAY
    standing: bool = False
    failing: bool = False
    silent: bool = False
    refusing: bool = False

    @property
    def healthy(self) -> bool:
        """Whether a request that is sent now is answered well, however late."""
        return not (self.standing or self.failing or self.silent or self.refusing)


def table() -> dict[str, Live]:
    """Every scenario by its name."""
    read = tomllib.loads(TABLE.read_text())
    common = read.pop("common")
    return {name: Live.model_validate({"name": name, **common, **said}) for name, said in read.items()}


def changes(scenario: Live) -> list[float]:
    """When something begins or ends."""
    moments = {
        moment
        for each in scenario.faults
        for moment in (each.at, each.at + each.lasts, each.at + each.lasts + each.cold)
    }
    return sorted(moment for moment in moments if moment < scenario.duration + scenario.deadline)


def state(scenario: Live, replica: int, now: float) -> State:
    """What is wrong with a replica then; of two faults of a kind the later in the table holds."""
    found: dict[str, Any] = {}
    for fault in scenario.faults:
        if fault.replicas is not None and replica not in fault.replicas:
            continue
        until = fault.at + fault.lasts
        if fault.at <= now < until:
            found |= _during(fault)
        elif fault.kind == "crash" and until <= now < until + fault.cold:
            found["slower"] = fault.factor
    return State(**found)


def _during(fault: Fault) -> dict[str, Any]:
    match fault.kind:
        case "slow":
            return {"slower": fault.factor}
        case "gray":
            return {"gray": Gray(fault.rate, fault.takes)}
        case kind:
            return {{"stall": "standing", "fail": "failing", "silent": "silent", "crash": "refusing"}[kind]: True}


def work(scenario: Live, replica: int, now: float) -> float:
    """Seconds that a request is expected to take there, once it is in a slot; for who knows everything."""
    found = state(scenario, replica, now)
    if not found.healthy:
        return inf
    share, takes = found.gray
    speed = list(scenario.members())[replica].speed / found.slower
    return ((1 - share) * scenario.mean_work + share * takes) / speed
