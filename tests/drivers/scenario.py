"""Scenarios for both drivers: a fake endpoint with a script, and the two drivers under one face.

A fake network is enough here: what is tested is who does what when; real sockets are in tests/faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from meshware.core.call import Attempt, Call
from meshware.core.outcome import Ending, Outcome
from meshware.outbound.drive import drive, drive_async


class Network:
    """Answers attempts by `script(attempt)`, which gives an outcome or raises; time is the world's."""

    def __init__(self, world: Any, script: Callable[[Attempt], Outcome]) -> None:
        self.world = world
        self.script = script
        self.log: list[str] = []
        self.call: Call | None = None

    def send(self, attempt: Attempt) -> Outcome:
        self.log.append(f"send {attempt.endpoint.address} #{attempt.number}")
        outcome = self.script(attempt)
        self.world.now += outcome.elapsed
        attempt.answer = object() if outcome.cause is None else None
        return outcome

    def drop(self, attempt: Attempt) -> None:
        self.log.append(f"drop {attempt.endpoint.address}")
        assert self.call is not None
        self.call.ended(attempt, Ending.DROPPED, 0.0, self.world.now)

    def sleep(self, seconds: float) -> None:
        self.log.append(f"sleep {seconds:.6f}")
        self.world.now += seconds


def drive_sync(network: Network, call: Call) -> Attempt:
    """The sync driver."""
    network.call = call
    return drive(call, network.send, network.drop, sleep=network.sleep, clock=lambda: network.world.now)


def drive_on_a_loop(network: Network, call: Call) -> Attempt:
    """The async driver, on a loop of its own."""
    network.call = call

    async def send(attempt: Attempt) -> Outcome:
        await asyncio.sleep(0)
        return network.send(attempt)

    async def drop(attempt: Attempt) -> None:
        await asyncio.sleep(0)
        network.drop(attempt)

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)
        network.sleep(seconds)

    return asyncio.run(drive_async(call, send, drop, sleep=sleep, clock=lambda: network.world.now))


DRIVERS = [drive_sync, drive_on_a_loop]
