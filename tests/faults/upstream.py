"""A real server on loopback that misbehaves as its paths say: plain HTTP/1.1 or TLS, a thread a connection.

`with Upstream() as upstream:` then `http://127.0.0.1:{upstream.port}/drip-body`. It records every request,
and when each connection was let go.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from faults.exchange import Connection, Seen

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Behaviour = Callable[[Connection, Seen], bool | None]
"""Answers one request; True keeps the connection."""


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """A whole answer with a length."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _echo(connection: Connection, seen: Seen) -> bool:
    facts = {"method": seen.method, "target": seen.target, "headers": seen.headers, "body": seen.body.decode("latin-1")}
    facts["server_name"] = seen.server_name
    return connection.send(answer(200, json.dumps(facts).encode(), Content_Type="application/json"))


def _status(connection: Connection, seen: Seen) -> bool:
    query = parse_qs(urlsplit(seen.target).query)
    headers = {name: values[0] for name, values in query.items()}
    return connection.send(answer(int(seen.path.split("/")[2]), b"as asked", **headers))


def _sleep(connection: Connection, seen: Seen) -> bool:
    return not connection.gone(float(seen.path.split("/")[2])) and connection.send(OK)


def _hold(connection: Connection, seen: Seen) -> None:
    connection.gone(60)


def _then(*parts: bytes, end: str = "keep", pause: float = 0.0) -> Behaviour:
    """Send the parts with pauses between, then keep, close, reset, or hold the connection."""

    def behave(connection: Connection, seen: Seen) -> bool:
        for number, part in enumerate(parts):
            if number and pause and connection.gone(pause):
                return False
            connection.send(part)
        if end == "reset":
            connection.reset()
        elif end == "hold":
            connection.gone(60)
        return end == "keep"

    return behave


def _drip_headers(connection: Connection, seen: Seen) -> None:
    connection.drip(OK)


def _drip_body(connection: Connection, seen: Seen) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
    connection.drip(b"x" * 200)


def _events(connection: Connection, seen: Seen) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    connection.drip(b"data: tick\n\n" * 50, every=0.01)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

BEHAVIOURS: dict[str, Behaviour] = {
    "ok": _then(OK),
    "echo": _echo,
    "status": _status,
    "sleep": _sleep,
    "chunked": _then(CHUNKED, b"3\r\nabc\r\n", b"3\r\ndef\r\n0\r\n\r\n"),
    "big": _then(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000),
    "until-close": _then(b"HTTP/1.1 200 OK\r\n\r\nall of it", end="close"),
    "early": _then(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK),
    "early-for-ever": _then(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 200, end="hold"),
    "drip-headers": _drip_headers,
    "drip-body": _drip_body,
    "hole": _hold,
    "stall-body": _then(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", end="hold"),
    "reset": _then(end="reset"),
    "close": _then(end="close"),
    "reset-headers": _then(b"HTTP/1.1 200 OK\r\nContent-", end="reset"),
    "eof-headers": _then(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", end="close"),
    "short": _then(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789", end="close"),
    "short-chunk": _then(CHUNKED, b"a\r\n012", end="close"),
    "bad-chunk": _then(CHUNKED, b"3\r\nabc\r\nzz\r\n", end="close"),
    "reset-body": _then(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"0123456789", end="reset", pause=0.05),
    "garbage": _then(b"\x16\x03\x01 this is not HTTP\r\n\r\n", end="close"),
    "huge-headers": _then(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n"),
    "close-after": _then(OK, end="close"),
    "planted": _then(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nplanted"),
    "events": _events,
}
"""By the first segment of the path. `status/503?Retry-After=1` sends that header."""


class Upstream:
    """The server. `answers` may replace behaviours by path segment while it runs."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.requests: list[Seen] = []
        self.connections: list[Connection] = []
        self.answers: dict[str, Behaviour] = dict(BEHAVIOURS)
        self.stopping = threading.Event()
        self._context = context
        if context is not None:
            context.sni_callback = _remember_server_name
        self._threads: list[threading.Thread] = []
        self._server = socket.create_server(("127.0.0.1", port))
        self.port: int = self._server.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"

    def start(self) -> Upstream:
        """Accept from now on."""
        self._start(self._accept)
        return self

    def __enter__(self) -> Upstream:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse from now on, break what is open, and end every thread."""
        self.stopping.set()
        try:
            self._server.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        except OSError:
            pass  # stopped already
        self._server.close()
        for connection in list(self.connections):
            try:
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)
            except OSError:
                continue  # closed by itself meanwhile
        for thread in self._threads:
            thread.join(5)

    @property
    def open_connections(self) -> int:
        """Those that neither side has let go."""
        return sum(each.let_go is None for each in self.connections)

    def let_go_within(self, seconds: float) -> bool:
        """Whether all connections are closed by their peers in so many seconds."""
        until = time.monotonic() + seconds
        while self.open_connections and time.monotonic() < until:
            time.sleep(0.005)
        return not self.open_connections

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        connection = Connection(sock, self.stopping)
        self.connections.append(connection)  # before hands are shaken, so that `stop` need not wait for that
        try:
            self._talk(connection)
        finally:
            connection.let_go = connection.let_go or time.monotonic()
            sock.close()

    def _talk(self, connection: Connection) -> None:
        if isinstance(connection.sock, ssl.SSLSocket):
            try:
                connection.sock.do_handshake()
            except OSError:
                return
        while not self.stopping.is_set():
            seen = connection.read_request()
            if seen is None:
                return
            self.requests.append(seen)
            behave = self.answers.get(seen.path.split("/")[1], BEHAVIOURS["ok"])
            if not behave(connection, seen):
                return


def _remember_server_name(sock: Any, name: str | None, context: ssl.SSLContext) -> None:
    """What the client asked for is on the socket."""
    sock.server_name = name


def in_flight(mesh: Any) -> int:
    """Attempts that are open anywhere in a mesh."""
    endpoints = [each for service in mesh.services.values() for each in service.endpoints]
    return sum(len(each.open) + len(each.waiting) + len(each.streams) for each in endpoints)


@contextmanager
def never_accepting(host: str = "127.0.0.1") -> Iterator[str]:
    """An address whose queue is full: connecting to it neither succeeds nor fails."""
    with socket.create_server((host, 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
        try:
            yield "{}:{}".format(*server.getsockname())
        finally:
            for sock in waiting:
                sock.close()
