"""Each way to answer badly, by the name that a path, or a test, calls it by.

A behaviour answers one request that was read whole; those in `AT_HEAD` act before its body is read, those in
`AT_ONCE` before anything is.
"""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable
from functools import cache
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


def _reset_when_kept(connection: Connection, seen: Seen) -> bool:
    """The keep-alive race: good for one request, and broken as the second one comes."""
    if connection.served > 1:
        connection.reset()
        return False
    return connection.send(OK)


def _closed_when_idle(connection: Connection, seen: Seen) -> bool:
    """Good, and closed a moment later, as by a server with a short keep-alive."""
    connection.send(OK)
    connection.gone(0.02)
    return False


def _half_closed(connection: Connection, seen: Seen) -> None:
    """Says that it will say nothing, and reads on."""
    connection.sock.shutdown(socket.SHUT_WR)
    connection.gone(60)


def _reset_unread(connection: Connection, seen: Seen) -> None:
    connection.reset()


def _answers_early(connection: Connection, seen: Seen) -> None:
    """A whole answer while the body is still on its way, which nobody reads; then it closes."""
    connection.send(answer(413, b"too large", Connection="close"))
    connection.gone(0.2)


def _gzip_bomb(connection: Connection, seen: Seen) -> bool:
    """64 KiB that are 64 MiB."""
    return connection.send(answer(200, _bomb(), Content_Encoding="gzip"))


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(64 << 20))


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
    "reset-kept": _reset_when_kept,
    "closed-idle": _closed_when_idle,
    "half-closed": _half_closed,
    "reset-unread": _reset_unread,
    "unaccepted": _hold,
    "answered-early": _answers_early,
    "503": _then(answer(503, b"busy")),
    "bad-status": _then(b"HTTP/1.1 twohundred OK\r\nContent-Length: 2\r\n\r\nok", end="close"),
    "two-lengths": _then(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nok"),
    "both-framings": _then(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 12\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "many-headers": _then(b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 10_000 + b"Content-Length: 0\r\n\r\n"),
    "flood": _then(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100_000, end="close"),
    "gzip-bomb": _gzip_bomb,
}
"""By the first segment of the path. `status/503?Retry-After=1` sends that header."""

AT_HEAD = frozenset({"answered-early"})
AT_ONCE = frozenset({"reset-unread", "unaccepted"})
