"""A real server on loopback that misbehaves as its paths say: plain HTTP/1.1 or TLS, a thread a connection.

`with Upstream() as upstream:` then `http://127.0.0.1:{upstream.port}/drip-body`. It records every request,
and when each connection was opened and let go by its peer.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

DRIP = 0.3
"""Seconds between two bytes of what drips."""

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    server_name: str | None
    connection: Connection = field(repr=False)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


class Connection:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, upstream: Upstream) -> None:
        self.sock = sock
        self.upstream = upstream
        self.let_go: float | None = None  # when the peer closed it or it broke
        self._buffer = b""

    def read_request(self) -> Seen | None:
        """The next request, or None when the peer has gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        body = (
            self._chunks()
            if "chunked" in headers.get("transfer-encoding", "")
            else self._bytes(int(headers.get("content-length", 0)))
        )
        name = getattr(self.sock, "server_name", None)
        return Seen(method, target, headers, body, name, self)

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.let_go = self.let_go or time.monotonic()
        self._buffer += data
        return bool(data)

    def _bytes(self, count: int) -> bytes:
        while len(self._buffer) < count and self._more():
            pass
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._buffer and self._more():
                pass
            size, _, self._buffer = self._buffer.partition(b"\r\n")
            data = self._bytes(int(size or b"0", 16) + 2)[:-2]
            if not data:
                return body
            body += data

    def send(self, data: bytes) -> bool:
        """False when the peer has gone."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.let_go = self.let_go or time.monotonic()
            return False
        return True

    def drip(self, data: bytes, every: float = DRIP) -> None:
        """A byte now and then, until the peer has gone."""
        for byte in data:
            if not self.send(bytes([byte])) or self.gone(every):
                return

    def gone(self, within: float) -> bool:
        """Wait so long for the peer to close; True when it did, or when the server stops."""
        self.sock.settimeout(0.02)
        until = time.monotonic() + within
        try:
            while time.monotonic() < until and not self.upstream.stopping.is_set():
                try:
                    if not self.sock.recv(1):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            else:
                return self.upstream.stopping.is_set()
        finally:
            self.sock.settimeout(None)
        self.let_go = self.let_go or time.monotonic()
        return True

    def reset(self) -> None:
        """RST, not FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


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
            try:
                sock = self._context.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        connection = Connection(sock, self)
        self.connections.append(connection)
        try:
            self._talk(connection)
        finally:
            connection.let_go = connection.let_go or time.monotonic()
            sock.close()

    def _talk(self, connection: Connection) -> None:
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
