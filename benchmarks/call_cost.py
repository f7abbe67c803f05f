"""What a call costs: the policy path beside what people use today, and requests on loopback with and without.

    python benchmarks/call_cost.py [--quick] [--json FILE]

All contenders run interleaved in one process, in random order round by round, so that whatever else the
machine does hits them alike; figures are medians of paired ratios with a bootstrap interval. The budgets
are those of docs/architecture.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pybreaker
import requests
import stamina
import tenacity
from rich.console import Console
from rich.table import Table

from meshware.core.call import Attempt, Call
from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.outbound.drive import drive, drive_async
from meshware.outbound.requests import MeshAdapter

Run = Callable[[int], float]
"""`run(count)`: seconds that so many calls took."""


@dataclass(frozen=True)
class Ratio:
    """One contender over another: the median of paired ratios, its 95 % interval, and the budget."""

    name: str
    over: str
    ratio: float
    low: float
    high: float
    microseconds: float
    budget: float | None = None


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

    def call() -> None:
        made.now = now = time.monotonic()
        endpoint = service.pick(made, now)
        endpoint.open[attempt] = endpoint.waiting[attempt] = now
        endpoint.ended(attempt)
        endpoint.sample(0.001, False, now)

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


def timed(call: Callable[[], Any]) -> Run:
    """Runs it so often and tells the seconds."""

    def run(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            call()
        return time.perf_counter() - began

    return run


def timed_async(call: Callable[[], Any]) -> Run:
    """The same for a coroutine function, on one loop."""

    async def repeat(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            await call()
        return time.perf_counter() - began

    return lambda count: asyncio.run(repeat(count))


# requests on loopback


def serve(listening: socket.socket) -> None:
    """A keep-alive server that answers at once, in a process of its own."""

    def talk(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while sock.recv(65536):
            sock.sendall(
                b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
                b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )

    while True:
        threading.Thread(target=talk, args=(listening.accept()[0],), daemon=True).start()


def on_loopback(plain: requests.Session, meshed: requests.Session, mesh_name: str, address: str) -> dict[str, Run]:
    """The same call through requests, bare and meshed."""
    return {
        "requests": timed(lambda: plain.get(f"http://{address}/items")),
        "requests + meshware": timed(lambda: meshed.get(f"http://{mesh_name}/items")),
    }


# Comparing


def interleaved(runs: dict[str, Run], *, rounds: int, count: int) -> dict[str, list[float]]:
    """Seconds per call of each, round by round, in random order within a round."""
    chance = random.Random(1)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(count)
    for _ in range(rounds):
        for name in chance.sample(list(runs), len(runs)):
            seconds[name].append(runs[name](count) / count)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, over: str, budget: float | None = None) -> Ratio:
    """The median of the paired ratios, with a bootstrap interval."""
    paired = [mine / theirs for mine, theirs in zip(seconds[name], seconds[over], strict=True)]
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(paired, k=len(paired))) for _ in range(1000))
    micro = 1e6 * statistics.median(seconds[name])
    return Ratio(name, over, statistics.median(paired), medians[25], medians[975], micro, budget)


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
    return found + loopback(rounds=rounds, count=max(20, count // 20))


def loopback(*, rounds: int, count: int) -> list[Ratio]:
    """What requests gains in time on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listening,), daemon=True)
        server.start()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        mesh = Mesh.from_settings({"services": {"inventory": {"endpoints": [address]}}})
        with requests.Session() as plain, requests.Session() as meshed:
            meshed.mount("http://", MeshAdapter(mesh))
            for session in (plain, meshed):
                session.trust_env = False  # looking for proxies and .netrc costs more than the call
            seconds = interleaved(on_loopback(plain, meshed, "inventory", address), rounds=rounds, count=count)
        server.terminate()
        server.join()
    return [ratio(seconds, "requests + meshware", "requests", 1.05)]


def show(found: list[Ratio]) -> None:
    """As a table."""
    table = Table("contender", "over", "ratio", "95 % interval", "budget", "µs a call", title="what a call costs")
    for each in found:
        budget = "" if each.budget is None else f"<= {each.budget:g}"
        style = None if each.budget is None or each.ratio <= each.budget else "bold red"
        interval = f"{each.low:.2f} to {each.high:.2f}"
        micro = f"{each.microseconds:.1f}"
        table.add_row(each.name, each.over, f"{each.ratio:.2f}", interval, budget, micro, style=style)
    Console(width=110).print(table)


def main(arguments: list[str] | None = None) -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few rounds: for trying it out, not for figures")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    found = measure(rounds=3, count=50) if options.quick else measure(rounds=41, count=1000)
    show(found)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(each) for each in found], indent=2))


if __name__ == "__main__":
    main()
