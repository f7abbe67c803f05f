"""The spike behind docs/decisions/0001: can one thread keep the deadlines that sync clients do not keep?

    python benchmarks/spikes/reaper.py [--races 100000] [--json FILE]

Real clients (clients.py) against a faulty server on loopback, plain and TLS. Part one: a deadline of 300 ms
against one byte per 0.3 s in headers and in body, a black hole, a TLS handshake that never comes, and a whole
body that lies ready when its reader, who was busy, goes on after the cut; seconds over the deadline, and
seconds until the server saw the socket let go. Part two: quick calls whose deadlines fall around their ends,
so that cuts race with the connections' return to the pool, beside calls with time enough: those must never
be hit, and nobody may get another's answer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import ssl
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import trustme
from clients import CLIENTS, Client, Get
from rich.console import Console
from rich.table import Table

from meshware.core.errors import DeadlineExceeded

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from faults.exchange import Connection, Seen
from faults.upstream import Upstream

DEADLINE = 0.3
FAULTS = {"drip-headers": 0.0, "drip-body": 0.0, "hole": 0.0, "no handshake": 0.0, "big": 2 * DEADLINE}
"""What goes wrong, and for how long the reader is busy after the first piece of the body."""


# The server


def numbered(connection: Connection, seen: Seen) -> bool:
    """Says back the number that it was asked for."""
    body = seen.path.rpartition("/")[2].encode()
    return connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def serve(context: ssl.SSLContext | None, ports: Any) -> None:
    """The racing server, in a process of its own."""
    server = Upstream(context)
    server.answers["n"] = numbered
    with server:
        ports.put(server.port)
        while True:
            time.sleep(1)
            server.requests.clear()


# Part one


def fault(get: Get, server: Upstream, path: str, pause: float) -> dict[str, Any]:
    """One deadline against one fault; a busy reader learns of it when he goes on."""
    began = time.monotonic()
    try:
        body = get(path, DEADLINE, pause)
        outcome = f"answered with {len(body)} bytes"
    except DeadlineExceeded:
        outcome = "deadline"
    ended = time.monotonic()
    over = ended - began - max(DEADLINE, pause)
    let_go = time.monotonic() - ended if server.let_go_within(2.0) else None
    return {"outcome": outcome, "over_s": round(over, 4), "let_go_s": None if let_go is None else round(let_go, 4)}


# Part two


def race(get: Get, count: int, *, threads: int = 4) -> dict[str, Any]:
    """So many calls; every second has a deadline around the time that a call takes, the others have 10 s."""
    typical = pace(get)
    seen: Counter[str] = Counter()
    numbers = iter(range(count))
    lock = threading.Lock()

    def work(seed: int) -> None:
        chance = random.Random(seed)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            hurried = number % 2 == 0
            seen[one(get, number, chance.uniform(0.3, 2.0) * typical if hurried else 10.0, hurried)] += 1

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    began = time.monotonic()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {
        "calls": count,
        "typical_ms": round(1000 * typical, 3),
        "seconds": round(time.monotonic() - began, 1),
        **seen,
    }


def pace(get: Get) -> float:
    """Median seconds of a call."""
    times = []
    for number in range(200):
        began = time.monotonic()
        get(f"n/{number}", 10.0)
        times.append(time.monotonic() - began)
    return sorted(times)[100]


def one(get: Get, number: int, deadline: float, hurried: bool) -> str:
    """What became of one call."""
    try:
        body = get(f"n/{number}", deadline)
    except DeadlineExceeded:
        return "cut" if hurried else "BYSTANDER CUT"
    except Exception as error:
        return f"{'hurried' if hurried else 'BYSTANDER'}: {type(error).__name__}"
    if body != str(number).encode():
        return "ANOTHER'S ANSWER"
    return "answered in time" if hurried else "bystander answered"


# All of it


def contexts(folder: str) -> tuple[ssl.SSLContext, str]:
    """A server's TLS context, and the path of the CA that its certificate comes from."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inventory", "127.0.0.1").configure_cert(context)
    path = Path(folder) / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, str(path)


def faults_of(through: Client, scheme: str, context: ssl.SSLContext | None, ca: str) -> dict[str, Any]:
    """Part one for one client and scheme."""
    found = {}
    for path, pause in FAULTS.items():
        shaking = path != "no handshake"
        if shaking or context is not None:
            with Upstream(context if shaking else None) as server, through(server.address, scheme, ca) as get:
                found[path] = fault(get, server, path if shaking else "hole", pause)
    return found


def races_of(through: Client, scheme: str, context: ssl.SSLContext | None, ca: str, count: int) -> dict[str, Any]:
    """Part two for one client and scheme."""
    fork = multiprocessing.get_context("fork")
    ports = fork.Queue()
    process = fork.Process(target=serve, args=(context, ports), daemon=True)
    process.start()
    try:
        with through(f"127.0.0.1:{ports.get(timeout=10)}", scheme, ca) as get:
            return race(get, count)
    finally:
        process.terminate()
        process.join()


def main() -> None:
    """Run both parts and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--races", type=int, default=100_000, help="calls through requests; the others get a fifth")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="meshware-spike-") as folder:
        context, ca = contexts(folder)
        for client, through in CLIENTS.items():
            for scheme, tls in (("http", None), ("https", context)):
                count = (options.races if client == "requests" else options.races // 5) // (2 if tls else 1)
                races = races_of(through, scheme, tls, ca, count)
                cell = {"faults": faults_of(through, scheme, tls, ca), "races": races}
                found[f"{client} {scheme}"] = cell
                show(f"{client} {scheme}", cell)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2))


def show(name: str, cell: dict[str, Any]) -> None:
    """One client and scheme as a table."""
    table = Table("fault", "outcome", "over the deadline", "let go after", title=name)
    for path, each in cell["faults"].items():
        let_go = "never" if each["let_go_s"] is None else f"{each['let_go_s']:.3f} s"
        table.add_row(path, each["outcome"], f"{each['over_s']:.3f} s", let_go)
    console = Console(width=140)
    console.print(table)
    console.print(cell["races"])


if __name__ == "__main__":
    main()
