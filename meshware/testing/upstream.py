"""A server on loopback that misbehaves when it is told to: for the tests of an app that calls it by the mesh.

Plain HTTP/1.1, a thread a connection, in the process of the test. What it was asked is kept in `requests`.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it arrived; the names of headers are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What requests get: after `delay` seconds an answer, whose body breaks off after `partial_body` bytes.

    Or none, since the connection is `reset`, or hangs until the server stops.
    """

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    partial_body: int | None = None
    reset: bool = False
    hang: bool = False


class FaultyUpstream:
    """The server. `with FaultyUpstream() as upstream:` starts and stops it.

    Thread-safe. Healthy, it answers 200 and `ok` to everything.
    """

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.behaviour = self._healthy = Behaviour()
        self._server: _Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        """Where it listens; the same from its first start on."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> FaultyUpstream:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> FaultyUpstream:
        """Listen from now on, at the same address as before."""
        if self._server is None:
            self._server = _Server(self)
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Be gone: connections break, and further ones are refused, until `start`. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.end()

    def answer(self, body: Any, **more: Any) -> None:
        """What it answers when healthy: text, bytes, or JSON; `status` and `headers` too. In force at once."""
        if not isinstance(body, str | bytes):
            body, more["headers"] = json.dumps(body), {"Content-Type": "application/json", **more.get("headers", {})}
        content = body.encode() if isinstance(body, str) else body
        self.behaviour = self._healthy = Behaviour(body=content, **more)

    def misbehave(self, **fault: Any) -> None:
        """From now on: any of `Behaviour`'s, `status=503`, `delay=1.0`, `reset=True`, `hang=True`, `partial_body=1`."""
        self.behaviour = replace(self._healthy, **fault)

    def heal(self) -> None:
        """As if nothing had been."""
        self.behaviour = self._healthy


class _Server(ThreadingTCPServer):
    """The socket and its connections."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, upstream: FaultyUpstream) -> None:
        self.upstream = upstream
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", upstream.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The caller has left: what the server wanted to say is nobody's any more."""

    def end(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in tuple(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # closed by itself meanwhile


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        upstream = self.server.upstream
        length = int(self.headers.get("content-length") or 0)
        said = {name.lower(): value for name, value in self.headers.items()}
        upstream.requests.append(Received(self.command, self.path, said, self.rfile.read(length)))
        behaviour = upstream.behaviour
        self.server.stopping.wait(3600.0 if behaviour.hang else behaviour.delay)
        if self.server.stopping.is_set() or behaviour.reset:
            self._reset()
        else:
            self._answer(behaviour)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815

    def _answer(self, behaviour: Behaviour) -> None:
        self.send_response(behaviour.status)
        for name, value in behaviour.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(behaviour.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(behaviour.body[: behaviour.partial_body])
            self.close_connection |= behaviour.partial_body is not None

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def log_message(self, *_facts: Any) -> None:
        """Tests have enough to read."""
