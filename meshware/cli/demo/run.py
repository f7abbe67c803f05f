"""One run: fresh servers, the load, the incident, and what the replicas counted.

The incident's plan is read here and nowhere else; the servers only feel it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from meshware.cli.demo.calibrate import Pace
from meshware.cli.demo.fleet import Fleet, machine
from meshware.cli.demo.load import Called, generate
from meshware.cli.demo.plan import Fault, Kind, endpoints, steps
from meshware.cli.demo.report import Record

LEAD = 0.5
"""Seconds between the servers being ready and the run's zero."""

LOOK = 0.5
"""Seconds between two looks at the replicas' counts."""


@dataclass(slots=True)
class Progress:
    """A run while it goes on: written by the run, read by the view."""

    variant: str
    seconds: float
    faults: tuple[Fault, ...]
    stage: str = "waiting"
    now: float = 0.0
    called: list[Called] = field(default_factory=list)
    errors: int = 0
    kinds: dict[str, Kind] = field(default_factory=lambda: dict.fromkeys(endpoints(), Kind.HEALTHY))
    arrived: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in endpoints()})

    def record(self, call: Called) -> None:
        """One storefront request is over."""
        self.called.append(call)
        self.errors += call.error


async def run(progress: Progress, *, pace: Pace, schedule: Sequence[float]) -> Record:
    """One variant through the whole incident; ends its servers on every way out."""
    fleet = Fleet(progress.variant, pace.service_times)
    try:
        progress.stage = "starting the servers"
        await fleet.start()
        progress.stage = "running"
        return await _incident(fleet, progress, schedule)
    finally:
        fleet.stop()
        progress.stage = "done"


async def _incident(fleet: Fleet, progress: Progress, schedule: Sequence[float]) -> Record:
    loop = asyncio.get_running_loop()  # its time is time.monotonic(), as is the replicas'
    started = loop.time() + LEAD
    used = fleet.cpu()
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(_watch(fleet, progress, started))
        trouble = tasks.create_task(_trouble(fleet, progress, started))
        await generate(fleet.port, schedule, started=started, record=progress.record)
        await trouble
        watching.cancel()
    share = (fleet.cpu() - used) / ((loop.time() - started) * machine())
    await fleet.count()
    _take(fleet, progress, started)
    return Record(
        seconds=progress.seconds,
        called=tuple(progress.called),
        arrived=progress.arrived,
        faults=trouble.result(),
        cpu_share=share,
    )


async def _trouble(fleet: Fleet, progress: Progress, started: float) -> list[Fault]:
    """Carry out the plan; returns the faults with the times at which they really began and ended."""
    loop = asyncio.get_running_loop()
    real = {fault.endpoint: fault for fault in progress.faults}
    for step in steps(progress.faults):
        await asyncio.sleep(started + step.at - loop.time())
        await fleet.turn(step.endpoint, step.kind)
        progress.kinds[step.endpoint] = step.kind
        now = loop.time() - started
        fault = real[step.endpoint]
        real[step.endpoint] = replace(fault, ends=now) if step.kind is Kind.HEALTHY else replace(fault, begins=now)
    return list(real.values())


async def _watch(fleet: Fleet, progress: Progress, started: float) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await fleet.count()
        _take(fleet, progress, started)
        progress.now = max(0.0, loop.time() - started)
        await asyncio.sleep(LOOK)


def _take(fleet: Fleet, progress: Progress, started: float) -> None:
    for name, replica in fleet.replicas.items():
        progress.arrived[name] = [at - started for at in replica.arrived]
