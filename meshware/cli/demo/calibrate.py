"""Calibration: how many calls per second a run is to have, found on this machine just before.

Two limits: no run may need more than SHARE of the machine, and the load is SHARE of what one healthy
pricing replica carries, so that this one can stand alone. CPU is measured, then the work's length is set
so that the replica carries what it should, and what it carries is measured too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import click

from meshware.cli.demo.ask import ask
from meshware.cli.demo.fleet import Fleet, machine
from meshware.cli.demo.load import Called, arrivals, generate
from meshware.cli.demo.plan import endpoints, service_of
from meshware.cli.demo.replica import SLOTS

SHARE = 0.6
USUAL_RATE = 50.0
WISHED_CALLS, LEAST_CALLS = 2_400, 2_150
"""Calls in a run; the least leaves room for chance above the 2,000 that figures need."""

MARGIN = 1.25
"""A call in trouble (retries, errors) costs so much more CPU than one in health."""

SAMPLE = 3.0
"""Seconds of each measurement."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Calls per second, and seconds of work per call in each service."""

    rate: float
    service_times: dict[str, float]


def pace_for(rate: float) -> Pace:
    """The pace at which `rate` is SHARE of one pricing replica, if it loses no time between calls."""
    work = SLOTS * SHARE / rate
    return Pace(rate, {"inventory": work / 2, "pricing": work})


async def calibrate(variant: str, seconds: float, tell: Callable[[str], None]) -> Pace:
    """Measure this machine with the given variant in front. ClickException when it is too slow for the time."""
    pace = pace_for(max(USUAL_RATE, WISHED_CALLS / seconds))
    fleet = Fleet(variant, pace.service_times)
    try:
        tell("starting the servers")
        await fleet.start()
        tell("measuring what a call costs")
        rate = affordable(pace.rate, seconds, await cpu_per_call(fleet, pace.rate))
        tell("measuring what one pricing replica carries")
        return await fitted(fleet, pace_for(rate), least=LEAST_CALLS / seconds)
    finally:
        fleet.stop()


def affordable(rate: float, seconds: float, cost: float) -> float:
    """The rate, or what SHARE of the machine's CPU allows at `cost` seconds a call. ClickException: too little."""
    limit = SHARE * machine() / (MARGIN * cost)
    if limit < LEAST_CALLS / seconds:
        raise click.ClickException(
            f"{seconds:.0f} s are too short: this machine carries {limit:.0f} calls/s at {SHARE:.0%} of its CPU; "
            f"use --seconds {ceil(LEAST_CALLS / limit)} or more"
        )
    return min(rate, limit)


async def cpu_per_call(fleet: Fleet, rate: float) -> float:
    """CPU seconds of all processes per storefront request, in health, once everything has been used."""
    await measured_load(fleet, rate, SAMPLE / 2)
    before = fleet.cpu()
    calls = await measured_load(fleet, rate, SAMPLE)
    return (fleet.cpu() - before) / max(1, len(calls))


async def measured_load(fleet: Fleet, rate: float, seconds: float) -> list[Called]:
    """So many seconds of calls."""
    calls: list[Called] = []
    started = asyncio.get_running_loop().time()
    await generate(fleet.port, arrivals(rate, seconds, seed=0), started=started, record=calls.append)
    return calls


async def fitted(fleet: Fleet, pace: Pace, *, least: float) -> Pace:
    """The pace with its rate at SHARE of what one pricing replica is measured to carry."""
    times = dict(pace.service_times)
    rate = pace.rate
    for _ in range(3):
        for name in endpoints():
            await fleet.set_service_time(name, times[service_of(name)])
        rate = SHARE * await carried(fleet.replicas["pricing-1"].port, SAMPLE / 2)
        if rate >= 0.97 * pace.rate:
            break
        times = {service: each * rate / pace.rate for service, each in times.items()}
    if rate < least:
        raise click.ClickException(f"this machine is too busy: a replica carries {rate / SHARE:.0f} calls/s")
    return Pace(min(rate, pace.rate), times)


async def carried(port: int, seconds: float) -> float:
    """Calls per second that a replica answers when there is always one waiting."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    answered = 0

    async def client() -> None:
        nonlocal answered
        while loop.time() < began + seconds:
            await ask(port, "/")
            answered += 1

    await asyncio.gather(*(client() for _ in range(3 * SLOTS)))
    return answered / (loop.time() - began)
