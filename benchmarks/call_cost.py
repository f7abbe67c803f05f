"""What a call costs: the policy path beside what people use today (overhead.py adds the clients, on loopback).

    python benchmarks/call_cost.py [--quick] [--json FILE]

The budgets are those of docs/architecture.md.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pybreaker
import stamina
import tenacity
from comparing import Ratio, Run, asked, interleaved, ratio, show, timed, timed_async

from meshware.core.call import Attempt, Call
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.outbound.drive import drive, drive_async

# The policy path around a no-op


def mesh_of(endpoints: int) -> Mesh:
    """A mesh of one service with so many endpoints, by its defaults."""
    addresses = [f"10.{number // 60_000}.{number // 250 % 240}.{number % 250}:80" for number in range(endpoints)]
    return Mesh.from_settings({"services": {"inventory": {"endpoints": addresses}}})


def answered(attempt: Attempt) -> Outcome:
    """The endpoint, answering at once."""
    return Outcome(elapsed=0.001, status=200)


def nothing(*_: Any) -> None:
    """The no-op that every contender runs."""


def mesh_sync(mesh: Mesh) -> Run:
    """Describe, pick, admit, send a no-op, judge, learn, end: all that a call does but I/O."""
    service, clock = mesh.services["inventory"], time.monotonic

    def call() -> None:
        made = mesh.call(service, Request("GET", "inventory", "/items", {}))
        made.ended(drive(made, answered, nothing), Ending.COMPLETE, 0.001, clock())

    return timed(call)


def mesh_async(mesh: Mesh) -> Run:
    """The same by the async driver."""
    service, clock = mesh.services["inventory"], time.monotonic

    async def send(attempt: Attempt) -> Outcome:
        return Outcome(elapsed=0.001, status=200)

    async def drop(attempt: Attempt) -> None:
        raise AssertionError

    async def call() -> None:
        made = mesh.call(service, Request("GET", "inventory", "/items", {}))
        made.ended(await drive_async(made, send, drop), Ending.COMPLETE, 0.001, clock())

    return timed_async(call)


def pick_and_complete(mesh: Mesh) -> Run:
    """Balancing alone: an endpoint is picked and counted in flight; its answer is taken off and learned from."""
    service = mesh.services["inventory"]
    made = Call(service, Request("GET", "inventory", "/items", {}))
    attempt = made.begin(time.monotonic())
    outcome = answered(attempt)

    def call() -> None:
        made.now = now = time.monotonic()
        endpoint = service.pick(made, now)
        endpoint.open[attempt] = endpoint.waiting[attempt] = now
        endpoint.ended(attempt)
        endpoint.sample(0.001, False, outcome, now)

    made.tried = ()
    return timed(call)


def stacks() -> dict[str, Run]:
    """What people write today, sync."""
    breaker = pybreaker.CircuitBreaker()
    tenacious = tenacity.retry(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_random(0, 0.05), reraise=True)
    return {
        "pybreaker": timed(lambda: breaker.call(nothing)),
        "tenacity + pybreaker": timed(tenacious(lambda: breaker.call(nothing))),
        "stamina": timed(stamina.retry(on=OSError, attempts=2)(nothing)),
        "stamina + pybreaker": timed(stamina.retry(on=OSError, attempts=2)(lambda: breaker.call(nothing))),
    }


def stacks_async() -> dict[str, Run]:
    """The same, async; pybreaker's `call` does not see a coroutine's end, so `calling` stands in."""
    breaker = pybreaker.CircuitBreaker()

    async def none() -> None:
        return None

    async def broken() -> None:
        with breaker.calling():
            return

    tenacious = tenacity.retry(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_random(0, 0.05), reraise=True)
    return {
        "tenacity + pybreaker": timed_async(tenacious(broken)),
        "stamina": timed_async(stamina.retry(on=OSError, attempts=2)(none)),
        "stamina + pybreaker": timed_async(stamina.retry(on=OSError, attempts=2)(broken)),
    }


def import_cost(rounds: int) -> Ratio:
    """`import meshware` over `import asyncio`, each in an interpreter of its own."""

    def run(statement: str) -> Run:
        program = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
        command = [sys.executable, "-c", program]
        return lambda count: float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    seconds = interleaved({each: run(each) for each in ("import meshware", "import asyncio")}, rounds=rounds, count=1)
    return ratio(seconds, "import meshware", "import asyncio", 1.5)


def measure(*, rounds: int, count: int) -> list[Ratio]:
    """Every figure."""
    found = []
    small = mesh_of(10)
    runs = {"meshware": mesh_sync(small), "pick + completion": pick_and_complete(small), **stacks()}
    seconds = interleaved(runs, rounds=rounds, count=count)
    found += [ratio(seconds, "meshware", "stamina", 0.6), ratio(seconds, "pick + completion", "pybreaker", 2.0)]
    found += [ratio(seconds, "meshware", name) for name in ("tenacity + pybreaker", "stamina + pybreaker", "pybreaker")]

    seconds = interleaved({"meshware async": mesh_async(small), **stacks_async()}, rounds=rounds, count=count)
    found.append(ratio(seconds, "meshware async", "stamina", 0.6))
    found += [ratio(seconds, "meshware async", name) for name in ("tenacity + pybreaker", "stamina + pybreaker")]

    sizes = {f"{size} endpoints": pick_and_complete(mesh_of(size)) for size in (10, 1_000, 10_000)}
    seconds = interleaved(sizes, rounds=rounds, count=count)
    found.append(ratio(seconds, "1000 endpoints", "10 endpoints", 1.6))
    found.append(ratio(seconds, "10000 endpoints", "10 endpoints", 2.5))
    found.append(import_cost(max(5, rounds // 4)))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure and show."""
    options = asked(__doc__, arguments)
    found = measure(rounds=3, count=50) if options.quick else measure(rounds=41, count=1000)
    show(found, title="what a call costs", file=options.json)


if __name__ == "__main__":
    main()
