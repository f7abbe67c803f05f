"""The outage drill: real replicas, callers that go by the mesh, faults of one replica and of all. It only records."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from meshware.cli.demo.callers import calling
from meshware.cli.demo.fleet import Fleet, Replica, bound
from meshware.cli.demo.load import Called, arrivals
from meshware.cli.demo.plan import Kind
from meshware.core.events import Event
from meshware.core.policy import Observer
from meshware.mesh import Mesh

SERVICE = "pricing"
URL = f"http://{SERVICE}/"
NAMES = tuple(f"{SERVICE}-{number}" for number in (1, 2, 3))
VICTIM = NAMES[1]
"""The replica that fails alone, first."""

FAULTS = {each.value: each for each in (Kind.KILLED, Kind.FROZEN, Kind.SLOW, Kind.FAILING)}

RATE = 30.0
"""Calls a second: a tenth of what the three replicas can do."""

SERVICE_TIME = 0.02
TIMEOUT = 2.0
"""Seconds that a call has in all."""

THREADS = 100
"""Calls that can be under way at once: more than RATE x TIMEOUT."""

LENGTHS = {"calm": 3.0, "one fails": 4.0, "healed": 8.0, "all fail": 4.0, "healed again": 6.0}
"""The phases, and their seconds in a drill of DEFAULT seconds."""

DEFAULT = sum(LENGTHS.values())
SHORTEST = 16
"""Seconds: in less, nothing that was ejected could be back before its phase is over."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the drill. Times are seconds from its start; a fault begins before it is made, ends when all is up."""

    name: str
    begins: float
    ends: float


@dataclass(slots=True)
class Drilled(Observer):
    """What happened: written while it does."""

    fault: Kind
    started: float = 0.0
    names: dict[str, str] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    attempts: list[tuple[float, str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def on_begin(self, call: Any, attempt: Any, headers: dict[str, str], now: float) -> None:
        """An attempt goes out."""
        self.attempts.append((now - self.started, self.names[attempt.endpoint.address]))

    def on_event(self, event: object) -> None:
        """What the mesh says."""
        if isinstance(event, Event):
            self.events.append(event)


class Replicas(Fleet):
    """The replicas alone; one of them may be frozen as well."""

    def __init__(self) -> None:
        super().__init__("drill", {SERVICE: SERVICE_TIME})
        self._frozen: set[str] = set()

    async def start(self) -> None:
        """Start them; returns when each answers."""
        starting = []
        for name in NAMES:
            sockets = bound(), bound()
            self.replicas[name] = Replica(name, sockets[0].getsockname()[1], sockets[1].getsockname()[1])
            starting.append(self._start(self.replicas[name], *sockets))
        await asyncio.gather(*starting)

    async def turn(self, name: str, kind: Kind) -> None:
        """Make a replica so; a frozen one is thawed for whatever comes next."""
        child = self.replicas[name].child
        if kind is Kind.FROZEN and child is not None:
            self._frozen.add(name)
            os.kill(child.process.pid, signal.SIGSTOP)
            return
        self._thaw(name)
        await super().turn(name, kind)

    def stop(self) -> None:
        """End every process; idempotent."""
        for name in tuple(self._frozen):
            self._thaw(name)
        super().stop()

    def _thaw(self, name: str) -> None:
        child = self.replicas[name].child
        if name in self._frozen and child is not None:
            os.kill(child.process.pid, signal.SIGCONT)
        self._frozen.discard(name)


async def drill(fault: Kind, *, seconds: float, seed: int, tell: Callable[[str], None]) -> Drilled:
    """The whole drill; ends its processes on every way out."""
    fleet, found = Replicas(), Drilled(fault)
    try:
        tell("starting the replicas")
        await fleet.start()
        found.names = {f"127.0.0.1:{each.port}": each.name for each in fleet.replicas.values()}
        settings = {"services": {SERVICE: {"endpoints": list(found.names), "timeout": TIMEOUT}}}
        schedule = arrivals(RATE, 10 * seconds, seed)
        with closing(Mesh.from_settings(settings, observers=[found])) as mesh:
            found.started = time.monotonic()
            async with calling(mesh, URL, schedule, started=found.started, record=found.called.append, threads=THREADS):
                await _phases(fleet, found, seconds / DEFAULT, tell)
        return found
    finally:
        fleet.stop()


async def _phases(fleet: Replicas, found: Drilled, scale: float, tell: Callable[[str], None]) -> None:
    """One phase after the other, each for its time from when what it begins with is done."""
    begins = 0.0
    for name, length in LENGTHS.items():
        tell(name)
        before = time.monotonic() - found.started
        healing = await _begin(fleet, found.fault, name)
        if found.phases:
            begins = time.monotonic() - found.started if healing else before
            last = found.phases[-1]
            found.phases[-1] = Phase(last.name, last.begins, begins)
        found.phases.append(Phase(name, begins, float("inf")))
        await asyncio.sleep(scale * length)
    last = found.phases[-1]
    found.phases[-1] = Phase(last.name, last.begins, time.monotonic() - found.started)


async def _begin(fleet: Replicas, fault: Kind, phase: str) -> bool:
    """What a phase begins with; whether that is the end of a fault."""
    if phase == "calm":
        return False
    kind = fault if phase in ("one fails", "all fail") else Kind.HEALTHY
    whom = [VICTIM] if phase in ("one fails", "healed") else NAMES
    await asyncio.gather(*(fleet.turn(name, kind) for name in whom))
    return kind is Kind.HEALTHY
