"""What a door in adds to a request: bare apps beside themselves behind the middleware, without a server.

    python benchmarks/inbound_cost.py [--quick] [--json FILE]

The budget is that of docs/architecture.md: 10 microseconds a request. A request without headers of ours is what
a tier at the edge gets; `told` is one from a tier that is meshed too; `streamed` is one with a body in 3 pieces;
`counted` is one to a server that may tell how busy it is, and `asked` one that asks for it.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from comparing import Run, asked, interleaved, timed, timed_async
from rich.console import Console
from rich.table import Table

from meshware.inbound.asgi import MeshMiddleware as AsgiMiddleware
from meshware.inbound.wsgi import MeshMiddleware as WsgiMiddleware
from meshware.mesh import Mesh

BUDGET = 10.0
"""Microseconds that a request may gain."""

SETTINGS = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}, "request_timeout": 20.0}
PIECE = b"x" * 100
COMMON = {
    "host": "shop.example",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-US,en;q=0.5",
    "accept-encoding": "gzip, deflate, br",
    "cookie": "session=0123456789abcdef",
    "connection": "keep-alive",
    "cache-control": "max-age=0",
}
"""The headers that a browser sends."""

TOLD = {"x-meshware-timeout": "2.500"}
ASKING = {"x-meshware-report": "1"}
REPORTING = SETTINGS | {"trusted_peers": ["10.0.0.0/8"]}
"""A server that counts its requests, and tells those who ask."""


@dataclass(frozen=True)
class Added:
    """What a request gains, in microseconds: the median of paired differences, and its 95 % interval."""

    name: str
    added: float
    low: float
    high: float
    bare: float
    budget: float = BUDGET


# WSGI


def plain(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """An app that answers at once."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "100")])
    return [PIECE]


def streamed(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """An app that answers in pieces."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(3):
        yield PIECE


def wsgi(app: Any, headers: dict[str, str]) -> Run:
    """Requests to it, as a server makes them."""
    keys = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "REMOTE_ADDR": "10.0.0.1", "wsgi.file_wrapper": Run, **keys}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        """As a server's."""

    def request() -> None:
        body = app(dict(base), start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()

    return timed(request)


# ASGI


async def plain_async(scope: Any, receive: Any, send: Any) -> None:
    """An app that reads its request and answers at once."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": PIECE})


async def streamed_async(scope: Any, receive: Any, send: Any) -> None:
    """An app that answers in pieces."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(3):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def asgi(app: Callable[..., Awaitable[None]], headers: dict[str, str]) -> Run:
    """Requests to it, as a server makes them."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    base = {"type": "http", "method": "GET", "path": "/", "client": ("10.0.0.1", 50000), "headers": pairs}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        """As a server's."""

    async def request() -> None:
        await app(dict(base), receive, send)

    return timed_async(request)


# Comparing


def contenders(mesh: Mesh, reporting: Mesh) -> dict[str, tuple[Run, Run]]:
    """Each request, bare and behind its door."""
    doors: dict[str, Any] = {"WSGI": (WsgiMiddleware, wsgi), "ASGI": (AsgiMiddleware, asgi)}
    apps: dict[str, Any] = {"WSGI": (plain, streamed), "ASGI": (plain_async, streamed_async)}
    found = {}
    for name, (door, requests) in doors.items():
        for kind, app, headers, its in (
            ("", apps[name][0], COMMON, mesh),
            (", told", apps[name][0], COMMON | TOLD, mesh),
            (", streamed", apps[name][1], COMMON, mesh),
            (", counted", apps[name][0], COMMON, reporting),
            (", asked", apps[name][0], COMMON | ASKING, reporting),
        ):
            meshed = door(app, mesh=its, instrument=False)
            found[name + kind] = (requests(app, headers), requests(meshed, headers))
    return found


def measure(*, rounds: int, count: int) -> list[Added]:
    """Every figure."""
    runs: dict[str, Run] = {}
    named = contenders(Mesh.from_settings(SETTINGS), Mesh.from_settings(REPORTING))
    for name, (bare, meshed) in named.items():
        runs |= {f"{name} bare": bare, name: meshed}
    seconds = interleaved(runs, rounds=rounds, count=count)
    return [added(name, bare=seconds[f"{name} bare"], meshed=seconds[name]) for name in named]


def added(name: str, *, bare: list[float], meshed: list[float]) -> Added:
    """From paired rounds."""
    paired = [1e6 * (mine - theirs) for mine, theirs in zip(meshed, bare, strict=True)]
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(paired, k=len(paired))) for _ in range(1000))
    return Added(name, statistics.median(paired), medians[25], medians[975], 1e6 * statistics.median(bare))


def show(found: list[Added], file: Path | None) -> None:
    """As a table, and as JSON."""
    table = Table("request", "bare, µs", "added, µs", "95 % interval", "budget", title="what a door in adds")
    for each in found:
        style = None if each.added <= each.budget else "bold red"
        interval = f"{each.low:.1f} to {each.high:.1f}"
        table.add_row(each.name, f"{each.bare:.1f}", f"{each.added:.1f}", interval, f"<= {each.budget:g}", style=style)
    Console(width=110).print(table)
    if file is not None:
        file.write_text(json.dumps([asdict(each) for each in found], indent=2))


def main(arguments: list[str] | None = None) -> None:
    """Measure and show."""
    options = asked(__doc__, arguments)
    found = measure(rounds=3, count=50) if options.quick else measure(rounds=61, count=500)
    show(found, options.json)


if __name__ == "__main__":
    main()
