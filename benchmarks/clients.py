"""What each client gains in time on loopback: bare, and with meshware.

    python benchmarks/clients.py [--quick] [--json FILE]

The server answers at once, in a process of its own. The budgets are those of docs/architecture.md.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import requests
from comparing import Ratio, Run, asked, interleaved, ratio, show, timed

from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter

BUDGETS = {"requests": 1.05, "httpx2": 1.10, "httpx2 async": 1.10, "httpx": 1.10, "httpx async": 1.10}


def serve(listening: socket.socket) -> None:
    """A keep-alive server that answers at once."""

    def talk(sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while sock.recv(65536):
            sock.sendall(
                b"HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\n"
                b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )

    while True:
        threading.Thread(target=talk, args=(listening.accept()[0],), daemon=True).start()


@contextmanager
def serving() -> Iterator[str]:
    """The address of the server."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = multiprocessing.get_context("fork").Process(target=serve, args=(listening,), daemon=True)
        server.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        server.terminate()
        server.join()


def by_requests(mesh: Mesh | None, url: str) -> Run:
    """A session, and its calls."""
    session = requests.Session()
    session.trust_env = False  # looking for proxies and .netrc costs more than the call
    if mesh is not None:
        session.mount("http://", MeshAdapter(mesh))
    return timed(lambda: session.get(url))


def by_httpx(name: str, mesh: Mesh | None, url: str) -> Run:
    """A sync client of one of the two libraries, and its calls."""
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")
    transport = library.HTTPTransport() if mesh is None else door.MeshTransport(mesh)
    client = library.Client(transport=transport, trust_env=False)
    return timed(lambda: client.get(url))


def by_httpx_async(name: str, mesh: Mesh | None, url: str) -> Run:
    """An async client on a loop of its own, and its calls one after another."""
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")
    transport = library.AsyncHTTPTransport() if mesh is None else door.AsyncMeshTransport(mesh)
    client, runner = library.AsyncClient(transport=transport, trust_env=False), asyncio.Runner()

    async def repeat(count: int) -> float:
        began = time.perf_counter()
        for _ in range(count):
            await client.get(url)
        return time.perf_counter() - began

    return lambda count: runner.run(repeat(count))


CLIENTS: dict[str, Any] = {
    "requests": by_requests,
    **{name: lambda *rest, name=name: by_httpx(name, *rest) for name in ("httpx2", "httpx")},
    **{f"{name} async": lambda *rest, name=name: by_httpx_async(name, *rest) for name in ("httpx2", "httpx")},
}


def measure(*, rounds: int, count: int) -> list[Ratio]:
    """Every client with meshware over itself without."""
    found = []
    with serving() as address:
        mesh = Mesh.from_settings({"services": {"inventory": {"endpoints": [address]}}})
        for name, made in CLIENTS.items():
            mine = f"{name} + meshware"
            runs = {name: made(None, f"http://{address}/items"), mine: made(mesh, "http://inventory/items")}
            seconds = interleaved(runs, rounds=rounds, count=count)
            found.append(ratio(seconds, mine, name, BUDGETS[name]))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure and show."""
    options = asked(__doc__, arguments)
    found = measure(rounds=3, count=20) if options.quick else measure(rounds=41, count=50)
    show(found, title="a call on loopback", file=options.json)


if __name__ == "__main__":
    main()
