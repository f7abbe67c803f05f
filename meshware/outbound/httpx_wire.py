"""One attempt's bytes through httpcore: the endpoint dialled, what was seen of it, and sync sockets cuttable.

Network backends and streams in httpcore's shape, for httpx and httpx2, sync and async. They know the reaper
and the socket, nothing of calls.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import cache
from types import MethodType
from typing import Any

from meshware.outbound.addresses import connected
from meshware.outbound.exchange import LEAST
from meshware.outbound.heartbeat import heart
from meshware.outbound.reaper import Cut
from meshware.outbound.scopes import Patience
from meshware.outbound.verbatim import late, verbatim


class Wire:
    """What one attempt's bytes do, and what was seen. Written by the thread or task that sends.

    `cut` ends sync attempts at their deadline; async ones have None and are cancelled instead. `begun`: when it had a
    connection, or began to make one (monotonic); 0.0 while it waits for a place in the client's pool. `spoilt` says
    that the connection must not be used again. `meanwhile` is called (monotonic) when the request is out and its answer
    is waited for, on a connection of its own.
    """

    __slots__ = ("begun", "connect_for", "connected_in", "cut", "last", "meanwhile", "sent", "sized", "spoilt")

    def __init__(self, *, connect_for: float, meanwhile: Callable[[float], None], cut: Cut | None = None) -> None:
        self.connect_for = connect_for
        self.meanwhile = meanwhile
        self.cut = cut
        self.begun = 0.0
        self.connected_in: float | None = None
        self.sent = False
        self.last = 0.0
        self.sized = False
        self.spoilt = False

    def framed(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """The answer's headers have come: whether its length was told, and by one of the two ways only."""
        names = {name.lower() for name, _ in headers}
        self.sized = b"content-length" in names
        if self.sized and b"transfer-encoding" in names:
            self.spoilt = True  # who read by the other length would be off by a body (RFC 9112, 6.1)

    def took(self, began: float) -> float:
        """Seconds until now of what began then, those not counted for which it waited for a place in the pool."""
        return time.monotonic() - (self.begun or began)

    @property
    def fired(self) -> bool:
        """Whether the reaper has cut it."""
        return self.cut is not None and self.cut.fired

    def release(self) -> None:
        """The socket is the pool's again, or gone."""
        if self.cut is not None:
            self.cut.release()


current: ContextVar[Wire] = ContextVar("meshware_httpx_wire")
"""The attempt that is being sent on this thread or task."""


def meanwhile() -> None:
    """The request of the attempt in force is out."""
    wire = current.get(None)
    if wire is not None:
        wire.meanwhile(time.monotonic())


class Dialler:
    """Where one connection goes, and whose bytes it carries now. A network backend for one of httpcore's connections.

    `shared`: several calls use it at a time (HTTP/2), so that no one of them may cut it.
    """

    def __init__(self, inner: Any, endpoint: tuple[str, int], *, core: Any, shared: bool) -> None:
        self.inner = inner
        self.endpoint = endpoint
        self.core = core
        self.shared = shared
        self.wire: Wire | None = None
        self._connect_by = 0.0
        self.tls: Any = None

    def dial(self) -> Wire:
        """The attempt that needs this connection; its time to connect begins."""
        self.wire = wire = current.get()
        now = time.monotonic()
        wire.begun = wire.begun or now
        self._connect_by = now + wire.connect_for
        if wire.cut is not None:
            self._connect_by = min(self._connect_by, wire.cut.until)
        return wire

    def shaken(self, stream: Any, since: float) -> None:
        """TLS stands."""
        self.tls = stream.get_extra_info("ssl_object")
        if self.tls.selected_alpn_protocol() == "h2":
            self.shared = True
            self.release()
        if self.wire is not None and self.wire.connected_in is not None:
            self.wire.connected_in += time.monotonic() - since

    def left(self) -> float:
        """Seconds left to connect."""
        return max(LEAST, self._connect_by - time.monotonic())

    def hold(self, sock: Any) -> None:
        """From here on this socket is what to cut, unless several calls share it."""
        if not self.shared and self.wire is not None and self.wire.cut is not None:
            self.wire.cut.attach(sock)

    def release(self) -> None:
        """Nobody may cut the socket any more."""
        if self.wire is not None:
            self.wire.release()

    def check(self) -> None:
        """Raise httpcore's ReadTimeout when the attempt was cut: bytes read since are dropped."""
        if self.wire is not None and self.wire.fired and not self.shared:
            raise self.core.ReadTimeout("cut at the deadline")

    def carry(self) -> bool:
        """Bytes of the attempt in force go out now; whether it is another than before."""
        wire = current.get(None)
        if wire is None:
            return False
        if not wire.sent:
            wire.sent = True
            wire.begun = wire.begun or time.monotonic()
        before, self.wire = self.wire, wire
        return before is not wire

    def spoilt(self) -> bool:
        """Whether this connection must not be used again: cut, or with bytes that nobody asked for."""
        wire = self.wire
        return wire is not None and not self.shared and (wire.spoilt or wire.fired)


class SyncDialler(Dialler):
    """Dials on the calling thread."""

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        """A stream to the endpoint, whatever name the request has."""

        def connect(address: tuple[str, int], seconds: float) -> Any:
            return self.inner.connect_tcp(*address, timeout=seconds, **options)

        wire, began = self.dial(), time.monotonic()
        inner = connected(self.endpoint, connect, within=self.left())
        wire.connected_in = time.monotonic() - began
        return SyncStream(inner, self)


class SyncStream:
    """Httpcore's sync stream to one endpoint, cuttable from the connect on."""

    def __init__(self, inner: Any, dialler: Dialler) -> None:
        self._inner = inner
        self._dialler = dialler
        self._socket = inner.get_extra_info("socket")
        self.get_extra_info = inner.get_extra_info
        self._write, self._read = _quick(inner.write), _quick(inner.read)
        dialler.hold(self._socket)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send; a kept connection has a new attempt now."""
        if self._dialler.carry():
            self._dialler.hold(self._socket)
        self._write(buffer, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive; refused once the attempt was cut."""
        data: bytes = self._read(max_bytes, timeout)
        self._dialler.check()
        if self._dialler.wire is not None:
            self._dialler.wire.last = time.monotonic()
        return data

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        """Shake hands within the time to connect; the socket itself is the TLS layer's meanwhile."""
        dialler, began = self._dialler, time.monotonic()
        with self._socket.dup() as handle:
            dialler.hold(handle)
            if dialler.wire is not None and dialler.wire.fired:  # ssl would take it for one not connected, and leave it
                self._inner.close()
                dialler.check()
            stream = SyncStream(self._inner.start_tls(ssl_context, server_hostname, dialler.left()), dialler)
        dialler.shaken(stream, began)
        return stream

    def close(self) -> None:
        """A closed socket must not be cut: its number may be another call's by then."""
        if not self._dialler.shared:
            self._dialler.release()
        self._inner.close()


def _quick(method: Any) -> Any:
    """A method of httpcore's, but its errors are mapped when there are any; another's as it is."""
    function = getattr(method, "__func__", None)
    names = getattr(function, "__globals__", {})
    if "map_exceptions" not in names or not names["__name__"].startswith("httpcore"):
        return method
    return MethodType(_mapping_late(function), method.__self__)


@cache
def _mapping_late(function: Any) -> Any:
    return verbatim(function, map_exceptions=late(function.__globals__["map_exceptions"]))


class AsyncDialler(Dialler):
    """Dials on the running loop."""

    async def connect_tcp(self, host: str, port: int, timeout: float | None = None, **options: Any) -> Any:
        """A stream to the endpoint, whatever name the request has."""
        wire, began = self.dial(), time.monotonic()
        async with self.patience():
            inner = await self.inner.connect_tcp(*self.endpoint, **options)
        now = time.monotonic()
        stood = heart().lateness.since(began, now)
        self._connect_by += stood
        wire.connected_in = now - began - stood
        return AsyncStream(inner, self)

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[None]:
        """The time that is left to connect; raises httpcore's ConnectTimeout at its end."""
        try:
            async with Patience(self.left()):
                yield
        except TimeoutError as error:
            raise self.core.ConnectTimeout(str(error)) from error

    def spoilt(self) -> bool:
        """The same; TLS over memory may hold bytes of another record, neither in the socket nor in httpcore."""
        return super().spoilt() or (not self.shared and self._queued())

    def _queued(self) -> bool:
        if self.tls is None:
            return False
        try:
            self.tls.read(1)
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError:
            return True
        return True


class AsyncStream:
    """Httpcore's async stream to one endpoint; reads are the inner stream's own."""

    def __init__(self, inner: Any, dialler: AsyncDialler) -> None:
        self._inner = inner
        self._dialler = dialler
        self.read, self.aclose, self.get_extra_info = inner.read, inner.aclose, inner.get_extra_info

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send; a kept connection has a new attempt now."""
        self._dialler.carry()
        await self._inner.write(buffer, timeout)

    async def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        """Shake hands within the time to connect."""
        dialler, began = self._dialler, time.monotonic()
        try:
            async with dialler.patience():
                stream = AsyncStream(await self._inner.start_tls(ssl_context, server_hostname), dialler)
        except BaseException:  # httpcore leaves the socket open when it is cancelled here
            await self._inner.aclose()
            raise
        dialler.shaken(stream, began)
        return stream
