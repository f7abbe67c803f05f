"""The spike behind docs/decisions/0001: can one thread keep the deadlines that sync clients do not keep?

    python benchmarks/spikes/reaper.py [--races 100000] [--json FILE]

Real clients against a faulty server on loopback, plain and TLS. Part one: a deadline of 300 ms against one
byte per 0.3 s in headers and in body, a black hole, and records that were queued at the cut; seconds over
the deadline, and seconds until the server saw the socket let go. Part two: quick calls whose deadlines fall
around their ends, so that cuts race with the connections' return to the pool, beside calls with time enough:
those must never be hit, and nobody may get another's answer.

requests goes through the shipped door. httpx and httpx2 go through a prototype on httpcore's network backend.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import Any

import requests
import trustme
from rich.console import Console
from rich.table import Table

from meshware.core.errors import DeadlineExceeded
from meshware.mesh import Mesh
from meshware.outbound.reaper import Cut, reaper
from meshware.outbound.requests import MeshAdapter

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from faults.upstream import Connection, Seen, Upstream

DEADLINE = 0.3
FAULTS = ("drip-headers", "drip-body", "hole", "queued")
QUEUED = 64 * 1024
Get = Callable[[str, float], bytes]
"""`get(path, deadline)`: the body, or DeadlineExceeded."""


# The clients


@contextmanager
def through_requests(address: str, scheme: str, ca: str) -> Iterator[Get]:
    """The shipped door, with nothing but its deadline at work."""
    settings = {"endpoints": [address], "retry": {"attempts": 1}, "ejection": {"enabled": False}, "tls": {"ca": ca}}
    settings["circuit"] = {"enabled": False}
    mesh = Mesh.from_settings({"services": {"inventory": settings}})
    with requests.Session() as session:
        session.mount(f"{scheme}://", MeshAdapter(mesh, pool_maxsize=50))
        yield lambda path, deadline: session.get(f"{scheme}://inventory/{path}", timeout=deadline).content
    mesh.close()


cutting: ContextVar[Cut | None] = ContextVar("cutting", default=None)


def cuttable(httpcore: Any) -> Any:
    """A network backend whose streams can be cut from their first write on, TLS handshake included."""

    class Stream(httpcore.NetworkStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def _attach(self) -> Cut | None:
            cut = cutting.get()
            if cut is not None:
                cut.attach(self._inner.get_extra_info("socket"))
            return cut

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self._attach()
            self._inner.write(buffer, timeout)

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            data = self._inner.read(max_bytes, timeout)
            cut = cutting.get()
            if cut is not None and cut.fired:  # what was queued before the cut is dropped
                raise httpcore.ReadTimeout("cut at the deadline")
            return data

        def start_tls(self, *args: Any, **options: Any) -> Any:
            return Stream(self._inner.start_tls(*args, **options))

        def get_extra_info(self, info: str) -> Any:
            return self._inner.get_extra_info(info)

        def close(self) -> None:
            cut = cutting.get()
            if cut is not None:
                cut.release()
            self._inner.close()

    class Backend(httpcore.SyncBackend):
        def connect_tcp(self, *args: Any, **options: Any) -> Any:
            stream = Stream(super().connect_tcp(*args, **options))
            stream._attach()
            return stream

    return Backend()


def releasing(client_module: Any) -> Any:
    """A transport whose answers release their cut before httpcore has the connection back."""

    class Body(client_module.SyncByteStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __iter__(self) -> Iterator[bytes]:
            yield from self._inner

        def close(self) -> None:
            cut = cutting.get()
            if cut is not None:
                cut.release()  # one that was cut is readable (end of file), so httpcore will not use it again
            self._inner.close()

    class Transport(client_module.HTTPTransport):
        def handle_request(self, request: Any) -> Any:
            answer = super().handle_request(request)
            answer.stream = Body(answer.stream)
            return answer

    return Transport


def through_httpx(name: str) -> Callable[[str, str, str], Any]:
    """httpx or httpx2, by its own name."""
    client_module, core = import_module(name), import_module(name.replace("httpx", "httpcore"))

    @contextmanager
    def through(address: str, scheme: str, ca: str) -> Iterator[Get]:
        context = ssl.create_default_context(cafile=ca)
        transport = releasing(client_module)(verify=context)
        transport._pool._network_backend = cuttable(core)
        with client_module.Client(transport=transport, timeout=30) as client:

            def get(path: str, deadline: float) -> bytes:
                cut = Cut(time.monotonic() + deadline)
                token = cutting.set(cut)
                reaper().watch(cut)
                try:
                    url = f"{scheme}://{address}/{path}"
                    answer = client.get(url, extensions={"sni_hostname": "inventory"})
                    if cut.fired:
                        raise DeadlineExceeded("inventory", deadline, 1)
                    return bytes(answer.content)
                except client_module.TransportError as error:
                    if cut.fired:
                        raise DeadlineExceeded("inventory", deadline, 1) from error
                    raise
                finally:
                    cut.release()
                    cutting.reset(token)

            yield get

    return through


CLIENTS = {
    "requests": through_requests,
    "httpx": through_httpx("httpx"),
    "httpx2": through_httpx("httpx2"),
}


# The server


def queued(connection: Connection, seen: Seen) -> bool:
    """A body in many records that arrives at once, whose reader is slow: all are queued when the cut comes."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"400\r\n" + b"x" * 1024 + b"\r\n"
    for _ in range(QUEUED // 1024):
        connection.send(piece)
    connection.gone(60)
    return False


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


def fault(get: Get, server: Upstream, path: str) -> dict[str, Any]:
    """One deadline against one fault."""
    began = time.monotonic()
    try:
        body = get(path, DEADLINE)
        outcome = f"answered with {len(body)} bytes"
    except DeadlineExceeded:
        outcome = "deadline"
    over = time.monotonic() - began - DEADLINE
    ended = time.monotonic()
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


def contexts() -> tuple[ssl.SSLContext, str]:
    """A server's TLS context, and the path of the CA that its certificate comes from."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inventory", "127.0.0.1").configure_cert(context)
    path = Path(tempfile.mkdtemp(prefix="meshware-spike-")) / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return context, str(path)


def faults_of(through: Any, scheme: str, context: ssl.SSLContext | None, ca: str) -> dict[str, Any]:
    """Part one for one client and scheme."""
    found = {}
    for path in FAULTS:
        with Upstream(context) as server:
            server.answers["queued"] = queued
            with through(server.address, scheme, ca) as get:
                found[path] = fault(get, server, path)
    return found


def races_of(through: Any, scheme: str, context: ssl.SSLContext | None, ca: str, count: int) -> dict[str, Any]:
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
    context, ca = contexts()
    found: dict[str, Any] = {}
    for client, through in CLIENTS.items():
        for scheme, tls in (("http", None), ("https", context)):
            count = (options.races if client == "requests" else options.races // 5) // (2 if tls else 1)
            races = races_of(through, scheme, tls, ca, count)
            found[f"{client} {scheme}"] = {"faults": faults_of(through, scheme, tls, ca), "races": races}
            show({f"{client} {scheme}": found[f"{client} {scheme}"]})
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2))


def show(found: dict[str, Any]) -> None:
    """A table per client."""
    console = Console(width=140)
    for name, each in found.items():
        table = Table("fault", "outcome", "over the deadline", "let go after", title=name)
        for path, cell in each["faults"].items():
            let_go = "never" if cell["let_go_s"] is None else f"{cell['let_go_s']:.3f} s"
            table.add_row(path, cell["outcome"], f"{cell['over_s']:.3f} s", let_go)
        console.print(table)
        console.print(each["races"])


if __name__ == "__main__":
    main()
