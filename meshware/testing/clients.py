"""What every client must keep to: mesh names by the mesh, all else as ever, and an end to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

from meshware.core.policy import Observer
from meshware.mesh import Mesh
from meshware.settings.load import load

NAME = "checked.invalid"


def check_client(make: Callable[[], Any], *, get: Callable[[str], int]) -> None:
    """Raise AssertionError unless what `make()` gives is fit for use as a client.

    `get(url)` sends a GET through the library as an app would, with a new session, and gives the status. Against a
    server on loopback: a mesh name must reach its endpoint under its logical Host, once, and leave nothing in flight;
    other names, and all while there is no mesh, must go as they always did; `instrument` and `uninstrument` must be
    fit to be called twice and in turn.
    """
    client = make()
    module = client.find()
    assert module is None or isinstance(module, ModuleType), f"find() gives {module!r}: a module or None"
    assert module is not None, "find() gives None: the library is not installed here"
    with _server() as server:
        address = f"127.0.0.1:{server.server_port}"
        settings = load({"services": {NAME: {"endpoints": [address], "connect_timeout": 5.0}}})
        mesh = Mesh(settings, observers=[counting := _Counting()])
        try:
            _check(client, get, mesh, server, address)
            assert counting.calls == 2, f"{counting.calls} calls went by the mesh, where 2 did to its names"
        finally:
            client.uninstrument()
            mesh.close()


class _Counting(Observer):
    """How many calls the mesh has decided."""

    calls = 0

    def on_done(self, *_facts: Any) -> None:
        self.calls += 1


class _Server(ThreadingHTTPServer):
    """Remembers the host and path of each request."""

    daemon_threads = True
    seen: list[tuple[str, str]]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"], self.path))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_facts: Any) -> None:
        pass


@contextmanager
def _server() -> Iterator[_Server]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.seen = []
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def _check(client: Any, get: Callable[[str], int], mesh: Mesh, server: _Server, address: str) -> None:
    meshed, direct = f"http://{NAME}/items?page=2", f"http://{address}/plain"
    assert not _arrives(get, meshed), "a mesh name is known before `instrument`"
    client.instrument(lambda: None)
    assert not _arrives(get, meshed), "a mesh name is known although there is no mesh: `find_mesh` gave None"
    assert _arrives(get, direct), "without a mesh a call does not go as it always did"
    for _ in range(2):  # the last `find_mesh` counts
        client.instrument(lambda: mesh)
    server.seen.clear()
    assert _arrives(get, meshed), "a mesh name does not reach its endpoint"
    assert server.seen == [(NAME, "/items?page=2")], f"the endpoint saw {server.seen}, not one GET for {NAME}"
    endpoint = mesh.services[NAME].endpoints[0]
    assert not endpoint.open, "a call whose body was read is still in flight"
    server.seen.clear()
    assert _arrives(get, direct), "a name that is none of the mesh's does not go as it always did"
    assert [host for host, _ in server.seen] == [address], f"the server saw {server.seen}"
    for _ in range(2):
        client.uninstrument()
    assert not _arrives(get, meshed), "a mesh name is still known after `uninstrument`"
    client.instrument(lambda: mesh)
    assert _arrives(get, meshed), "instrumented again, a mesh name does not reach its endpoint"


def _arrives(get: Callable[[str], int], url: str) -> bool:
    try:
        return get(url) == 200
    except Exception:  # whatever the library raises for a name that nobody knows
        return False
