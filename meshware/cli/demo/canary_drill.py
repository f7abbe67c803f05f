"""The canary drill: calls are shifted to a new version, which starts failing at 25 %. It only records."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from meshware.cli.demo.callers import calling
from meshware.cli.demo.drill import NAMES, SERVICE, TIMEOUT, URL, Replicas
from meshware.cli.demo.load import Called, arrivals
from meshware.cli.demo.plan import Kind
from meshware.core.events import ShiftChanged
from meshware.core.policy import Observer
from meshware.mesh import Mesh

CANARY = NAMES[-1]
"""The replica that is the new version."""

STEPS, FAILS_AT = (10.0, 25.0, 50.0, 100.0), 25.0
HOLD = 3.0
MINIMUM = 10

RATE = 60.0
"""Calls a second."""

PATIENCE = 30.0
"""Seconds for which the drill waits for what is to come."""

AFTER = 2.0
"""Seconds of each side of the fault that are looked at."""

THREADS = 150


@dataclass(slots=True)
class Canary(Observer):
    """What happened: written while it does. Times are seconds from the start."""

    started: float = 0.0
    failing: float | None = None
    changes: list[tuple[float, ShiftChanged]] = field(default_factory=list)
    called: list[Called] = field(default_factory=list)
    ended: float = 0.0

    def on_event(self, event: object) -> None:
        """What the mesh says of the shift."""
        if isinstance(event, ShiftChanged):
            self.changes.append((event.at - self.started, event))

    @property
    def reverted(self) -> float | None:
        """When it was."""
        return next((at for at, event in self.changes if event.state == "reverted"), None)


async def canary_drill(*, seed: int, tell: Callable[[str], None]) -> Canary:
    """The whole drill; ends its processes on every way out."""
    fleet, found = Replicas(), Canary()
    schedule = arrivals(RATE, 4 * PATIENCE, seed)
    try:
        tell("starting the replicas")
        await fleet.start()
        addresses = {each.name: f"127.0.0.1:{each.port}" for each in fleet.replicas.values()}
        found.started = time.monotonic()
        with closing(_mesh(found, addresses)) as mesh:
            async with calling(mesh, URL, schedule, started=found.started, record=found.called.append, threads=THREADS):
                await _phases(fleet, found, tell)
        return found
    finally:
        fleet.stop()


def _mesh(found: Canary, addresses: dict[str, str]) -> Mesh:
    old = [address for name, address in addresses.items() if name != CANARY]
    settings = {
        "defaults": {"timeout": TIMEOUT},
        "services": {SERVICE: {"endpoints": old}, f"{SERVICE}-v2": {"endpoints": [addresses[CANARY]]}},
        "shifts": [
            {
                "name": "v2",
                "service": SERVICE,
                "to": f"{SERVICE}-v2",
                "steps": STEPS,
                "hold": HOLD,
                "guard": {"minimum": MINIMUM},
            }
        ],
    }
    return Mesh.from_settings(settings, observers=[found])


async def _phases(fleet: Replicas, found: Canary, tell: Callable[[str], None]) -> None:
    tell("shifting")
    if await _until(lambda: any(event.percentage >= FAILS_AT for _, event in found.changes)):
        await asyncio.sleep(HOLD / 3)
        tell("the new version fails")
        found.failing = time.monotonic() - found.started
        await fleet.turn(CANARY, Kind.FAILING)
        await _until(lambda: found.reverted is not None)
        tell("reverted" if found.reverted is not None else "not reverted")
        await asyncio.sleep(AFTER)
    found.ended = time.monotonic() - found.started


async def _until(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not holds() and time.monotonic() < until:
        await asyncio.sleep(0.02)
    return holds()
