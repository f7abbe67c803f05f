"""What it costs a call on loopback that it is mirrored to a service which is dead, slow, or answers 1 GiB.

    python benchmarks/mirror_cost.py [--quick] [--json FILE]

Calls come one by one at a pace that leaves this process time, as in a service. In a block all kinds take turns, a run
of calls each, since the machine itself changes by more than the budgets from one second to the next. The budgets: p50
within 3 %, p99 within 15 %, and 16 MiB of memory.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import requests
from comparing import asked, interval
from overhead import serving
from rich.console import Console
from rich.table import Table

from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter

PACE = 0.004
"""Seconds from one call to the next."""

RUN = 25
"""Calls of one kind before it is another's turn."""

ALONE = "not mirrored"
BUDGETS = {"p50": 1.03, "p99": 1.15}
MEMORY = 16.0
"""MiB."""

HUGE = 2**30
PIECE = bytes(2**16)


@dataclass(frozen=True)
class Found:
    """One figure of one kind: the median over the blocks with its 95 % interval, or what the process gained."""

    name: str
    what: str
    value: float
    low: float
    high: float
    budget: float


def slow(sock: socket.socket) -> None:
    """Answers a second later."""
    while sock.recv(65_536):
        time.sleep(1.0)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")


def huge(sock: socket.socket) -> None:
    """Answers a GiB, to whoever reads it; no more is on its way than on a network."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, len(PIECE))
    while sock.recv(65_536):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % HUGE)
        for _ in range(HUGE // len(PIECE)):
            sock.sendall(PIECE)


@contextmanager
def nobody() -> Iterator[str]:
    """An address where every connection is refused."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{sock.getsockname()[1]}"


def mesh_of(primary: str, copies: str | None) -> Mesh:
    """A mesh whose calls are all mirrored there."""
    services = {"inventory": {"endpoints": [primary]}}
    route: dict[str, object] = {"match": {"service": "inventory"}}
    if copies is not None:
        services["shadow"] = {"endpoints": [copies]}
        route["mirror"] = {"service": "shadow"}
    return Mesh.from_settings({"services": services, "routes": [route]})


def run(session: requests.Session) -> list[float]:
    """What each of a run's calls took, in seconds."""
    times, due = [], time.perf_counter()
    for _ in range(RUN):
        time.sleep(max(0.0, due - time.perf_counter()))
        began = time.perf_counter()
        session.get("http://inventory/items")
        times.append(time.perf_counter() - began)
        due += PACE
    return times


def figures(times: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    times.sort()
    return times[len(times) // 2], times[int(0.99 * len(times))]


def resident() -> float:
    """MiB that the process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) / 256


def measure(blocks: int, runs: int) -> Iterator[Found]:
    """Every kind beside none."""
    with ExitStack() as stack:
        primary = stack.enter_context(serving())
        targets = {
            ALONE: None,
            "dead": stack.enter_context(nobody()),
            "slow": stack.enter_context(serving(slow)),
            "1 GiB": stack.enter_context(serving(huge)),
        }
        sessions = {}
        for name, target in targets.items():
            mesh = mesh_of(primary, target)
            stack.callback(mesh.close)
            sessions[name] = stack.enter_context(requests.Session())
            sessions[name].trust_env = False
            sessions[name].mount("http://", MeshAdapter(mesh))
            run(sessions[name])
        chance, seen = random.Random(1), {name: [] for name in targets}
        gained, before = 0.0, resident()
        for _ in range(blocks):
            times: dict[str, list[float]] = {name: [] for name in targets}
            for _ in range(runs):
                for name in chance.sample(list(targets), len(targets)):
                    times[name] += run(sessions[name])
                    gained = max(gained, resident() - before)
            for name, taken in times.items():
                seen[name].append(figures(taken))
        for name in list(targets)[1:]:
            for place, what in enumerate(BUDGETS):
                paired = [mine[place] / none[place] for mine, none in zip(seen[name], seen[ALONE], strict=True)]
                yield Found(name, what, statistics.median(paired), *interval(paired, statistics.median), BUDGETS[what])
        yield Found("all of these", "MiB", gained, gained, gained, MEMORY)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and show."""
    options: argparse.Namespace = asked(__doc__, arguments)
    found = list(measure(*((3, 2) if options.quick else (20, 20))))
    table = Table("mirrored to", "figure", "value", "95 % interval", "budget", title="what a mirror costs its calls")
    for each in found:
        style = None if each.value <= each.budget else "bold red"
        between = f"{each.low:.2f} to {each.high:.2f}"
        table.add_row(each.name, each.what, f"{each.value:.2f}", between, f"<= {each.budget:g}", style=style)
    Console(width=110).print(table)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(each) for each in found], indent=2))


if __name__ == "__main__":
    main()
