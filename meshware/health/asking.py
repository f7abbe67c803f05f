"""How an endpoint is asked whether it is well: by a connection, by HTTP, or by a function of the user's.

Each way is called on a hand (meshware/hands.py), with a connection of its own, and raises when the answer is not good.
Of an HTTP answer only the head is read, within limits of time and of bytes, whatever comes.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from meshware.core.endpoint import Endpoint

LONGEST = 65_536
"""Bytes of an answer's head."""

INTERIM = 10
"""1xx answers that are skipped before the final one."""

Clock = Callable[[], float]

Secure = Callable[[socket.socket], socket.socket]
"""Makes TLS of a connection; raises OSError."""


class Ailing(Exception):
    """The endpoint has answered, and its answer says that it is not well: nobody has to ask again."""


class Tcp:
    """Whether it takes a connection; where there is TLS, whether it is who it should be. Thread-safe."""

    def __init__(self, *, timeout: float, tls: Secure | None = None, clock: Clock = time.monotonic) -> None:
        self._timeout, self._tls, self._clock = timeout, tls, clock

    def __call__(self, endpoint: Endpoint) -> None:
        """Raises OSError when it does not, within the time."""
        self._connected(endpoint, self._clock() + self._timeout).close()

    def _connected(self, endpoint: Endpoint, until: float) -> socket.socket:
        sock = socket.create_connection((endpoint.host, endpoint.port), self._timeout)
        if self._tls is None:
            return sock
        try:
            sock.settimeout(left(until, self._clock))
            return self._tls(sock)
        except BaseException:
            sock.close()
            raise


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """What is asked, and which statuses are good, as ranges with both their ends."""

    host: str
    path: str = "/"
    method: str = "GET"
    expected: Sequence[tuple[int, int]] = ((200, 200),)
    headers: Mapping[str, str] = field(default_factory=dict)


class Http(Tcp):
    """Whether it answers a request with a status that is expected. Thread-safe."""

    def __init__(
        self, options: HttpOptions, *, timeout: float, tls: Secure | None = None, clock: Clock = time.monotonic
    ) -> None:
        super().__init__(timeout=timeout, tls=tls, clock=clock)
        self._options = options

    def __call__(self, endpoint: Endpoint) -> None:
        """Raises Ailing for another status; OSError when none comes within the time."""
        until = self._clock() + self._timeout
        sock = self._connected(endpoint, until)
        try:
            sock.settimeout(left(until, self._clock))
            sock.sendall(self._request(endpoint))
            status = _status(sock, until, self._clock)
        finally:
            sock.close()
        if not any(low <= status <= high for low, high in self._options.expected):
            raise Ailing(f"it answers {status}")

    def _request(self, endpoint: Endpoint) -> bytes:
        options = self._options
        host = endpoint.address if options.host == "endpoint" else options.host
        headers = {"Host": host, "User-Agent": "meshware-health", "Accept": "*/*", "Connection": "close"}
        if options.method == "POST":
            headers["Content-Length"] = "0"
        own = {name.lower() for name in options.headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in own} | dict(options.headers)
        lines = [f"{options.method} {options.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Called:
    """What a function of the user's says: anything that is not true, and whatever it raises, is a failure."""

    def __init__(self, function: Callable[[Endpoint], object]) -> None:
        self._function = function

    def __call__(self, endpoint: Endpoint) -> None:
        """Raises what the function raised, or that it has said no."""
        said = self._function(endpoint)
        if not said:
            raise ValueError(f"the check says {said!r}")


def left(until: float, clock: Clock) -> float:
    """Seconds until then. Raises TimeoutError when there are none."""
    seconds = until - clock()
    if seconds <= 0:
        raise TimeoutError("no answer in time")
    return seconds


def _status(sock: socket.socket, until: float, clock: Clock) -> int:
    """The status of the final answer. Raises OSError for what comes late, ends early, is too long or no HTTP."""
    read = b""
    for _ in range(INTERIM + 1):
        while b"\r\n\r\n" not in read:
            sock.settimeout(left(until, clock))
            piece = sock.recv(8192)
            if not piece:
                raise ConnectionError("the answer ended inside its headers")
            read += piece
            if len(read) > LONGEST:
                raise OSError("the answer's headers are too long")
        head, _, read = read.partition(b"\r\n\r\n")
        status = _status_of(head)
        if not 100 < status < 200 or status == 101:
            return status
    raise OSError("too many interim answers")


def _status_of(head: bytes) -> int:
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or len(words[1]) != 3 or not words[1].isdigit():
        raise OSError("what it answers is not HTTP")
    return int(words[1])
