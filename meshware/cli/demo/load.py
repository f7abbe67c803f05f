"""The load: open loop, so a storefront that stalls does not slow its callers down.

Poisson arrivals from a seed, the same in every run; each call is timed from its intended start, whenever
it was really sent (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from meshware.cli.demo.ask import ask

PATIENCE = 3.0
"""Seconds after which a caller gives up; every error is charged as this."""


@dataclass(frozen=True, slots=True)
class Called:
    """One storefront request: its intended start in the run, seconds it took, status or None for no answer."""

    at: float
    elapsed: float
    status: int | None

    @property
    def error(self) -> bool:
        """A status of 500 or more, or no answer in time."""
        return self.status is None or self.status >= 500

    @property
    def charged(self) -> float:
        """Seconds that count: an error is never a fast answer."""
        return PATIENCE if self.error else self.elapsed


def arrivals(rate: float, seconds: float, seed: int) -> list[float]:
    """Intended starts in [0, seconds): a Poisson process of `rate` per second."""
    rng = random.Random(seed)
    found: list[float] = []
    at = rng.expovariate(rate)
    while at < seconds:
        found.append(at)
        at += rng.expovariate(rate)
    return found


async def generate(port: int, schedule: Sequence[float], *, started: float, record: Callable[[Called], None]) -> None:
    """Send a GET / at each time of the schedule, `started` (loop time) being its zero; returns when all are over."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as calls:
        for at in schedule:
            wait = started + at - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            calls.create_task(_call(port, at, started=started, record=record))


async def _call(port: int, at: float, *, started: float, record: Callable[[Called], None]) -> None:
    loop = asyncio.get_running_loop()
    due = started + at
    status: int | None = None
    try:
        status = (await ask(port, "/", timeout=due + PATIENCE - loop.time())).status
    except (OSError, ValueError):
        pass  # no answer, or only a part of one: the record says so
    record(Called(at, loop.time() - due, status))
