"""HTTP/1.1 on urllib3 and http.client, made honest and cuttable.

Its own connection and response classes: the socket can be cut from the moment it exists, a 103 is not
the final answer, headers cut short are an error, bytes read after a cut are dropped, and the seconds
spent inside reads are known. Knows urllib3 and the reaper, nothing of calls.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import urllib3.connection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from meshware.outbound.reaper import Cut

INTERIM_LIMIT = 100
"""1xx answers that are skipped before the final one; more are an error."""


class Wire:
    """What one attempt's bytes do: its cut, and what was seen. Written by the thread that sends."""

    __slots__ = ("broken", "connect_by", "connected_in", "cut", "reading", "sent")

    def __init__(self, cut: Cut, connect_by: float) -> None:
        self.cut = cut
        self.connect_by = connect_by
        self.connected_in: float | None = None
        self.sent = False
        self.reading = 0.0
        self.broken = False


current: ContextVar[Wire | None] = ContextVar("meshware_wire", default=None)
"""The attempt that is being sent on this thread."""


class CutOff(OSError):
    """The socket was cut by us."""


class _Bytes(io.RawIOBase):
    """Raw reads of one answer: timed, and refused once the socket was cut."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        super().__init__()
        self._raw: Any = sock.makefile("rb", buffering=0)
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wire = self._wire
        began = time.monotonic()
        try:
            count: int = self._raw.readinto(buffer)
        except BaseException:
            wire.broken = True
            raise
        finally:
            wire.reading += time.monotonic() - began
        if wire.cut.fired:
            wire.broken = True
            raise CutOff("cut off at the deadline")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Headers:
    """The lines of a header block; end of file inside it is an error, not the end of the headers."""

    def __init__(self, lines: io.BufferedReader) -> None:
        self._lines = lines

    def readline(self, limit: int = -1) -> bytes:
        line = self._lines.readline(limit)
        if not line:
            raise http.client.RemoteDisconnected("the answer ended inside its headers")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lines, name)


class WireResponse(http.client.HTTPResponse):
    """http.client's response: reads through _Bytes, skips 1xx, wants whole headers."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        wire = current.get()
        if wire is not None:
            self.fp.close()
            self.fp = io.BufferedReader(_Bytes(sock, wire))

    def begin(self) -> None:
        lines = self.fp
        self.fp = _Headers(lines)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if isinstance(self.fp, _Headers):
                self.fp = lines

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(INTERIM_LIMIT):
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 < status[1] < 200 or status[1] == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return status
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine(f"more than {INTERIM_LIMIT} interim answers")


class _Cuttable:
    """What both connection classes add to urllib3's: the wire learns of connect, send and reuse."""

    response_class = WireResponse
    sock: Any
    timeout: Any

    def connect(self) -> None:
        wire = current.get()
        if wire is None:
            super().connect()  # type: ignore[misc]
            return
        began = time.monotonic()
        self.timeout = max(0.001, wire.connect_by - began)
        super().connect()  # type: ignore[misc]
        wire.cut.attach(self.sock)
        wire.connected_in = time.monotonic() - began

    def _new_conn(self) -> socket.socket:
        """Urllib3's connect, below TLS: from here on the socket can be cut, handshake included."""
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        wire = current.get()
        if wire is not None:
            wire.cut.attach(sock)
        return sock

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        wire = current.get()
        if wire is not None and self.sock is not None:
            wire.cut.attach(self.sock)
        super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        wire = current.get()
        if wire is None:
            super().send(data)  # type: ignore[misc]
            return
        if self.sock is None:
            self.connect()
        wire.sent = True
        super().send(data)  # type: ignore[misc]


class WireHTTPConnection(_Cuttable, urllib3.connection.HTTPConnection):
    """Plain HTTP/1.1."""


class WireHTTPSConnection(_Cuttable, urllib3.connection.HTTPSConnection):
    """The same over TLS."""


class WireHTTPConnectionPool(HTTPConnectionPool):
    """A pool of plain connections."""

    ConnectionCls = WireHTTPConnection


class WireHTTPSConnectionPool(HTTPSConnectionPool):
    """A pool of TLS connections."""

    ConnectionCls = WireHTTPSConnection


POOLS = {"http": WireHTTPConnectionPool, "https": WireHTTPSConnectionPool}
"""For `PoolManager.pool_classes_by_scheme`."""


def watch_body(raw: urllib3.HTTPResponse, wire: Wire, ended: Callable[[str], None]) -> None:
    """Have `ended` called once with "complete", "broken" or "dropped" when the body is over.

    "dropped" may come from a finalizer: `ended` must then take no lock. The cut is released before the
    connection goes back to its pool; one that was cut is closed instead.
    """
    release, close = raw.release_conn, raw.close
    me = weakref.ref(raw)
    once = [ended]

    def over(ending: str) -> None:
        if once:
            try:
                once.pop()(ending)
            except IndexError:
                return

    def release_conn() -> None:
        body = me()
        if body is None or body._connection is None:
            return
        ending = ending_of(body, wire)
        kept = wire.cut.release()
        if not kept or ending != "complete":
            body._connection.close()
        over(ending)
        type(body).release_conn(body)

    def closed() -> None:
        body = me()
        ending = "dropped" if body is None else ending_of(body, wire)
        wire.cut.release()
        over(ending)
        if body is not None:
            type(body).close(body)

    del release, close
    raw.release_conn = release_conn  # type: ignore[method-assign]
    raw.close = closed  # type: ignore[method-assign]
    weakref.finalize(raw, over, "dropped").atexit = False
    if raw._connection is None or raw.length_remaining == 0:
        release_conn()
        wire.cut.release()
        over(ending_of(raw, wire))


def ending_of(raw: urllib3.HTTPResponse, wire: Wire) -> str:
    """How the body stands: all read, an error while reading, or left early."""
    if wire.broken:
        return "broken"
    if raw.chunked and raw.supports_chunked_reads():
        done = raw.chunk_left == 0
    elif raw.length_remaining is not None:
        done = raw.length_remaining == 0
    else:
        done = raw._original_response is None or raw._original_response.isclosed()
    return "complete" if done else "dropped"
