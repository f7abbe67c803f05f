"""What a call gains by meshware and by a proxy, for each client on loopback: time, throughput, processor, memory.

    python benchmarks/overhead.py [--quick] [--json FILE] [--markdown FILE]

The server answers at once, in a process of its own, and each way has one too, as in an application. Every way is a
ratio to the direct one of the same round. The budgets are those of docs/architecture.md. A proxy that is not installed
is left out, and said so.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import requests
from comparing import apart, interval
from fleets.peers import PEERS, found, running
from rich.console import Console
from rich.table import Table

from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter

DIRECT, MESHWARE, ENVOY = "direct", "meshware", "Envoy"
PROXIES = {ENVOY: PEERS["Envoy, careful"], "HAProxy": PEERS["HAProxy"]}
"""With the same policy as meshware has by default: balancing, retries, ejection."""

BUDGETS = {"requests": 1.05, "httpx2": 1.10, "httpx2 async": 1.10, "httpx": 1.10, "httpx async": 1.10}
"""Of p50 over the direct call's, one call at a time."""

ADDED = 10.0
"""Microseconds that meshware should add at most; a goal."""

CPU, CPU_GOAL = 1 / 10, 1 / 15
"""What meshware adds in processor time over what Envoy adds."""

MEMORY = 6.0
"""MiB that a worker process gains."""

PORT = 13_500

Calls = Callable[[int], list[float]]
"""`calls(count)`: the seconds of each of so many."""


@dataclass(frozen=True)
class Figure:
    """One figure with its 95 % interval and its budget."""

    client: str
    way: str
    what: str
    value: float
    low: float
    high: float
    unit: str
    budget: float | None = None


# The server


Talk = Callable[[socket.socket], None]
"""Answers what comes on one connection."""


def at_once(sock: socket.socket) -> None:
    """A keep-alive server that answers at once."""
    while sock.recv(65536):
        sock.sendall(
            b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        )


def serve(listening: socket.socket, talk: Talk) -> None:
    """A thread for each connection."""

    def talking(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with sock, suppress(ConnectionError):
            talk(sock)

    while True:
        threading.Thread(target=talking, args=(listening.accept()[0],), daemon=True).start()


@contextmanager
def serving(talk: Talk = at_once) -> Iterator[str]:
    """The address of a server that answers so, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listening, talk), daemon=True)
        server.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.terminate()
        server.join()


# The clients


def one_by_one(call: Callable[[], Any]) -> Calls:
    """One call after another."""

    def calls(count: int) -> list[float]:
        times = []
        for _ in range(count):
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        return times

    return calls


def by_requests(mesh: Mesh | None, url: str) -> Calls:
    """A session, and its calls."""
    session = requests.Session()
    session.trust_env = False  # looking for proxies and .netrc costs more than the call
    if mesh is not None:
        session.mount("http://", MeshAdapter(mesh))
    return one_by_one(lambda: session.get(url))


def by_httpx(name: str, mesh: Mesh | None, url: str) -> Calls:
    """A sync client of one of the two libraries, and its calls."""
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")
    transport = library.HTTPTransport() if mesh is None else door.MeshTransport(mesh)
    client = library.Client(transport=transport, trust_env=False)
    return one_by_one(lambda: client.get(url))


def by_httpx_async(name: str, at_once: int, mesh: Mesh | None, url: str) -> Calls:
    """An async client on a loop of its own, and its calls, so many at once."""
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")
    transport = library.AsyncHTTPTransport() if mesh is None else door.AsyncMeshTransport(mesh)
    client, runner = library.AsyncClient(transport=transport, trust_env=False), asyncio.Runner()

    async def some(count: int, times: list[float]) -> None:
        for _ in range(count):
            began = time.perf_counter()
            await client.get(url)
            times.append(time.perf_counter() - began)

    async def repeat(count: int) -> list[float]:
        times: list[float] = []
        await asyncio.gather(*(some(count // at_once, times) for _ in range(at_once)))
        return times

    return lambda count: runner.run(repeat(count))


Made = Callable[[Mesh | None, str], Calls]
"""A client, of this mesh or none, that calls this URL."""

CLIENTS: dict[str, Made] = {
    "requests": by_requests,
    **{name: lambda *rest, name=name: by_httpx(name, *rest) for name in ("httpx2", "httpx")},
    **{f"{name} async": lambda *rest, name=name: by_httpx_async(name, 1, *rest) for name in ("httpx2", "httpx")},
    "httpx2 async, 32 at once": lambda *rest: by_httpx_async("httpx2", 32, *rest),
}


# Measuring


TURN = 32
"""Calls by one way until it is another's turn: what else the machine does in these milliseconds, it does to all."""


class Way(NamedTuple):
    """How to come to the server: by which URL, with a mesh for this endpoint, past a proxy of this process."""

    url: str
    endpoint: str | None = None
    proxy: int | None = None


class Turn(NamedTuple):
    """Some calls by one way: the seconds of each, of them all, and of CPU."""

    times: list[float]
    elapsed: float
    cpu: float


class Round(NamedTuple):
    """A round by one way: quantiles and the mean time from one call to the next in seconds, CPU seconds a call."""

    p50: float
    p99: float
    each: float
    cpu: float

    @classmethod
    def of(cls, turns: Sequence[Turn]) -> Round:
        times = sorted(each for taken in turns for each in taken.times)
        count = len(times)
        elapsed, cpu = sum(each.elapsed for each in turns), sum(each.cpu for each in turns)
        return cls(times[count // 2], times[int(0.99 * count)], elapsed / count, cpu / count)


def apart_by(made: Made, way: Way) -> AbstractContextManager[Callable[[int], Turn]]:
    """Turns of a client in a process of its own."""

    def begin(stack: ExitStack) -> Callable[[int], Turn]:
        mesh = None
        if way.endpoint is not None:
            mesh = Mesh.from_settings({"services": {"inventory": {"endpoints": [way.endpoint]}}})
            stack.callback(mesh.close)
        return partial(turn, made(mesh, way.url), way.proxy)

    return apart(begin)


def turn(calls: Calls, proxy: int | None, count: int) -> Turn:
    """One turn; its CPU is that of this process and of the proxy."""
    others, used, began = used_by(proxy), time.process_time(), time.perf_counter()
    times = calls(count)
    elapsed, used = time.perf_counter() - began, time.process_time() - used
    return Turn(times, elapsed, used + used_by(proxy) - others)


def used_by(process: int | None) -> float:
    """CPU seconds of all threads of a process; 0 of none."""
    tasks = () if process is None else Path(f"/proc/{process}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in tasks) / 1e9


def interleaved(ways: dict[str, Callable[[int], Turn]], *, rounds: int, turns: int) -> dict[str, list[Round]]:
    """Rounds of every way, turn by turn in random order."""
    chance = random.Random(1)
    seen: dict[str, list[Round]] = {name: [] for name in ways}
    for take in ways.values():
        for _ in range(turns):  # connections are made, and Python has seen the code often enough
            take(TURN)
    for _ in range(rounds):
        taken: dict[str, list[Turn]] = {name: [] for name in ways}
        for _ in range(turns):
            for name in chance.sample(list(ways), len(ways)):
                taken[name].append(ways[name](TURN))
        for name, each in taken.items():
            seen[name].append(Round.of(each))
    return seen


def figures(client: str, seen: dict[str, list[Round]]) -> Iterator[Figure]:
    """Every way beside the direct one."""
    direct = seen[DIRECT]
    for way, rounds in seen.items():
        pairs = list(zip(rounds, direct, strict=True))
        yield _figure(client, way, "CPU of 10,000 calls", [1e4 * each.cpu for each in rounds], "s")
        if way == DIRECT:
            yield _figure(client, way, "p50", [1e6 * each.p50 for each in rounds], "µs")
            yield _figure(client, way, "p99", [1e6 * each.p99 for each in rounds], "µs")
            continue
        budget = BUDGETS.get(client) if way == MESHWARE else None
        goal = ADDED if way == MESHWARE and client in BUDGETS else None
        yield _figure(client, way, "p50 over direct", [mine.p50 / bare.p50 for mine, bare in pairs], "", budget)
        yield _figure(
            client, way, "p50 added (a goal)", [1e6 * (mine.p50 - bare.p50) for mine, bare in pairs], "µs", goal
        )
        yield _figure(client, way, "p99 over direct", [mine.p99 / bare.p99 for mine, bare in pairs], "")
        yield _figure(client, way, "throughput over direct", [bare.each / mine.each for mine, bare in pairs], "")
    if ENVOY in seen:
        yield from _cpu(client, seen)


def _figure(
    client: str, way: str, what: str, values: Sequence[float], unit: str, budget: float | None = None
) -> Figure:
    return Figure(client, way, what, statistics.median(values), *interval(values, statistics.median), unit, budget)


def _cpu(client: str, seen: dict[str, list[Round]]) -> Iterator[Figure]:
    """What meshware adds over what Envoy adds: medians of what is added, round by round."""
    added = [
        (mine.cpu - bare.cpu, envoy.cpu - bare.cpu)
        for mine, envoy, bare in zip(seen[MESHWARE], seen[ENVOY], seen[DIRECT], strict=True)
    ]
    low, high = interval(added, _over)
    for what, budget in (("CPU added over Envoy's", CPU), ("CPU added over Envoy's (a goal)", CPU_GOAL)):
        yield Figure(client, MESHWARE, what, _over(added), low, high, "", budget)


def _over(added: Sequence[tuple[float, float]]) -> float:
    mine, theirs = zip(*added, strict=True)
    return statistics.median(mine) / statistics.median(theirs)


# Memory

WORKER = """
import gc, json, sys
address, meshed, before = sys.argv[1], sys.argv[2] == "meshed", sys.argv[3].split()
import requests
for each in before:
    __import__(each)
session = requests.Session()
url = f"http://{address}/items"
if meshed:
    from meshware.mesh import Mesh
    from meshware.outbound.requests import MeshAdapter
    others = [f"127.0.0.1:{port}" for port in range(9)[1:]]
    service = {"endpoints": [address, *({"address": each, "weight": 0} for each in others)]}
    session.mount("http://", MeshAdapter(Mesh.from_settings({"services": {"inventory": service}})))
    url = "http://inventory/items"
for _ in range(200):
    session.get(url)
gc.collect()
pairs = (line.split(":") for line in open("/proc/self/smaps_rollup").readlines()[1:])
print(json.dumps({name: int(value.split()[0]) for name, value in pairs}))
"""


def memory(address: str, proxy: int | None, *, rounds: int) -> Iterator[Figure]:
    """What a worker process gains; in one that has pydantic's models already, as FastAPI's have; what Envoy has.

    From bytecode, as an installed package is run: to compile takes memory that is not given back.
    """
    _worker(address, "meshed", "")
    for what, before in (("a worker gains", ""), ("a worker with FastAPI gains", "fastapi")):
        pairs = [[_worker(address, way, before) for way in ("meshed", "bare")] for _ in range(rounds)]
        for kind, fields in (("RSS", ("Rss",)), ("USS", ("Private_Clean", "Private_Dirty"))):
            gained = [
                (sum(mine[each] for each in fields) - sum(bare[each] for each in fields)) / 1024 for mine, bare in pairs
            ]
            yield _figure("", MESHWARE, f"{kind} {what}", gained, "MiB", MEMORY if kind == "USS" else None)
    if proxy is not None:
        status = dict(line.split(":", 1) for line in Path(f"/proc/{proxy}/status").read_text().splitlines())
        yield _figure("", ENVOY, "RSS", [int(status["VmRSS"].split()[0]) / 1024], "MiB")


def _worker(address: str, way: str, before: str) -> dict[str, int]:
    command = [sys.executable, "-c", WORKER, address, way, before]
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, capture_output=True, check=True, text=True, env=environ)
    read: dict[str, int] = json.loads(done.stdout)
    return read


# All of it


def measure(*, rounds: int, turns: int, processes: int) -> Iterator[Figure]:
    """Every client by every way, then memory."""
    with ExitStack() as stack:
        address = stack.enter_context(serving())
        host, _, port = address.partition(":")
        proxies = {
            name: stack.enter_context(running(peer, PORT + number, [(host, int(port))]))
            for number, (name, peer) in enumerate(PROXIES.items())
            if found(peer.program) is not None
        }
        ways = {DIRECT: Way(f"http://{address}/items"), MESHWARE: Way("http://inventory/items", endpoint=address)}
        for name, peer in proxies.items():
            ways[name] = Way(f"http://{peer.address[0]}:{peer.address[1]}/items", proxy=peer.pid)
        for client, made in CLIENTS.items():
            with ExitStack() as processes_of_it:
                takes = {name: processes_of_it.enter_context(apart_by(made, way)) for name, way in ways.items()}
                yield from figures(client, interleaved(takes, rounds=rounds, turns=turns))
        yield from memory(address, proxies[ENVOY].pid if ENVOY in proxies else None, rounds=processes)


HEADS = ("client", "way", "what", "measured", "95 % interval", "budget")


def rows(all_of_it: Sequence[Figure]) -> Iterator[tuple[list[str], bool]]:
    """As text; whether each is over its budget."""
    for each in all_of_it:
        budget = "" if each.budget is None else f"<= {each.budget:.3g} {each.unit}"
        over = each.budget is not None and each.value > each.budget
        spread = f"{each.low:.3g} to {each.high:.3g}"
        yield [each.client, each.way, each.what, f"{each.value:.3g} {each.unit}", spread, budget], over


def show(all_of_it: Sequence[Figure], notes: Sequence[str]) -> None:
    """As a table."""
    table = Table(*HEADS, title="a call on loopback")
    for row, over in rows(all_of_it):
        table.add_row(*row, style="bold red" if over else None)
    console = Console(width=130)
    console.print(table)
    for note in notes:
        console.print(note)


def markdown(all_of_it: Sequence[Figure], notes: Sequence[str]) -> str:
    """As a part of a page; what is over its budget is bold."""
    lines = [list(HEADS), ["---"] * len(HEADS)]
    lines += [[*row[:3], f"**{row[3]}**" if over else row[3], *row[4:]] for row, over in rows(all_of_it)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n\n" + "\n\n".join(notes) + "\n"


def main(arguments: list[str] | None = None) -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few rounds: for trying it out, not for figures")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    quick = {"rounds": 2, "turns": 1, "processes": 1}
    all_of_it = list(measure(**(quick if options.quick else {"rounds": 31, "turns": 10, "processes": 5})))
    missing = [peer.program for peer in PROXIES.values() if found(peer.program) is None]
    notes = [f"{each} is left out: it is not installed." for each in missing]
    show(all_of_it, notes)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(each) for each in all_of_it], indent=2))
    if options.markdown is not None:
        options.markdown.write_text(markdown(all_of_it, notes))


if __name__ == "__main__":
    main()
