"""Httpcore's pool, connections and HTTP/1.1 for one endpoint, with fewer steps where the ordinary call needs none.

A pool mostly has a connection at rest: then nothing is to be sorted out or waited for. A request without a body has
nothing to send after its headers. Whatever is not ordinary is left to httpcore's own code; that decides the same.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

import h11

from meshware.outbound.httpx_direct import NOTHING
from meshware.outbound.httpx_plain import END, Plain
from meshware.outbound.httpx_wire import AsyncDialler, Dialler, SyncDialler, meanwhile
from meshware.outbound.verbatim import verbatim

_Httpcores: Any = object
"""What each class here is mixed with: httpcore's own of that name, sync or async."""

_UNLOCKED = nullcontext()
"""On a loop, what httpcore does under a connection's lock awaits nothing; the lock costs a turn of the loop."""


class _Place:
    """A request's place in its pool, with its connection from the start: httpcore's brings what waits for one."""

    __slots__ = ("connection", "request")

    def __init__(self, request: Any, connection: Any) -> None:
        self.request, self.connection = request, connection

    def is_queued(self) -> bool:
        return self.connection is None


class _Pool(_Httpcores):  # type: ignore[misc]
    """Httpcore's pool, but a connection at rest is taken and put back without looking at all from all sides."""

    core: Any
    stream: Any
    """Httpcore's body, which gives up the place at its end."""

    _requests: list[Any]
    _connections: list[Any]

    def _take(self, request: Any) -> _Place | None:
        """A connection at rest; None: httpcore's code has to see what there is."""
        with self._optional_thread_lock:
            first = next(self._resting(), None) if self._connections else None
            if first is None or not first.ready():
                return None
            place = _Place(request, first)
            self._requests.append(place)
            return place

    def _resting(self) -> Iterator[Any]:
        """Connections that no request has; none where a request waits for one."""
        if not self._requests:
            return iter(self._connections)
        busy = {place.connection for place in self._requests}
        return iter(()) if None in busy else (each for each in self._connections if each not in busy)

    def _leave(self, place: _Place) -> list[Any]:
        """The request is over; which connections to close."""
        with self._optional_thread_lock:
            self._requests.remove(place)
            return self._assign_requests_to_connections()

    def _assign_requests_to_connections(self) -> list[Any]:
        if self._settled():
            return []
        closing: list[Any] = super()._assign_requests_to_connections()
        return closing

    def _settled(self) -> bool:
        """Whether nobody waits, and all that rest may stay as they are."""
        for place in self._requests:
            if place.connection is None:
                return False
        resting = list(self._resting())
        for each in resting:
            if not (each.at_rest or each.settled()):
                return False
        return bool(len(resting) <= self._max_keepalive_connections)


class _SyncPool(_Pool):
    name = "ConnectionPool"

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._optional_thread_lock = threading.RLock()  # httpcore's is the same in six steps

    def handle_request(self, request: Any) -> Any:
        place = self._take(request)
        if place is None:
            return super().handle_request(request)
        try:
            response = place.connection.handle_request(request)
        except BaseException as error:
            self._close_connections(self._leave(place))
            raise error from None
        response.stream = self.stream(response.stream, place, self)
        return response


class _AsyncPool(_Pool):
    name = "AsyncConnectionPool"

    async def handle_async_request(self, request: Any) -> Any:
        place = self._take(request)
        if place is None:
            return await super().handle_async_request(request)
        try:
            response = await place.connection.handle_async_request(request)
        except BaseException as error:
            await self._close_connections(self._leave(place))
            raise error from None
        response.stream = self.stream(response.stream, place, self)
        return response

    async def _close_connections(self, closing: list[Any]) -> None:
        if closing:  # else a shield would be put over nothing, and each looks for other kinds of loop first
            await super()._close_connections(closing)


class _Connection(_Httpcores):  # type: ignore[misc]
    """Httpcore's connection, but never used again once it was cut or holds bytes that nobody asked for.

    A cut one is readable, which httpcore takes for expired; but it looks at that first and assigns requests
    later, and one that comes back in between is used unseen: one stranger in 8,000 was hit.
    """

    plain: Any
    line: Any

    at_rest = False
    """Whether it was found settled, and no request was sent on it since."""

    def __init__(self, dialler: Dialler, origin: Any, of: Any) -> None:
        super().__init__(
            origin=origin,
            ssl_context=of._ssl_context,
            keepalive_expiry=of._keepalive_expiry,
            http1=of._http1,
            http2=of._http2,
            local_address=of._local_address,
            network_backend=dialler,
            socket_options=of._socket_options,
        )
        self.dialler = dialler

    def is_available(self) -> bool:
        return bool(super().is_available()) and not self._spoilt()

    def has_expired(self) -> bool:
        return bool(super().has_expired()) or (self.is_idle() and self._spoilt())

    def settled(self) -> bool:
        """Whether it stands, and the next request may have it."""
        self.at_rest = settled = self._connection is not None and self.is_available()
        return settled

    def ready(self) -> bool:
        """Whether a request may go out on it now, by HTTP/1.1. Asked before, it is that of this module from then on."""
        inner = self._connection
        if type(inner) is self.plain and inner.is_idle():
            inner.__class__ = self.line
            inner.taken_over()
        return type(inner) is self.line and inner.is_idle() and not inner.has_expired() and not self._spoilt()

    def _spoilt(self) -> bool:
        parser = getattr(self._connection, "_h11_state", None)
        return (parser is not None and bool(parser.trailing_data[0])) or self.dialler.spoilt()


class _SyncConnection(_Connection):
    name = "HTTPConnection"

    def handle_request(self, request: Any) -> Any:
        self.at_rest, inner = False, self._connection
        if type(inner) is self.line:
            return inner.untraced(request) if inner.unheard(request) else inner.handle_request(request)
        return super().handle_request(request)


class _AsyncConnection(_Connection):
    name = "AsyncHTTPConnection"

    async def handle_async_request(self, request: Any) -> Any:
        self.at_rest, inner = False, self._connection
        if type(inner) is self.line:
            send = inner.untraced if inner.unheard(request) else inner.handle_async_request
            return await send(request)
        return await super().handle_async_request(request)


_visible = re.compile(rb"[!-~]+").fullmatch
"""What h11 takes for a target."""


def _aimed(said: h11.Request, target: bytes) -> h11.Request:
    """The same request for another target, which is looked through already."""
    event = object.__new__(h11.Request)
    object.__setattr__(event, "method", said.method)
    object.__setattr__(event, "headers", said.headers)
    object.__setattr__(event, "http_version", said.http_version)
    object.__setattr__(event, "target", target)
    return event


class _Line(_Httpcores):  # type: ignore[misc]
    """Httpcore's HTTP/1.1, but nothing is not written, and errors are mapped when there are any.

    A client says the same headers time and again: those that were looked through already are known.
    """

    core: Any
    plain: Any
    log: logging.Logger
    _h11_state: Any
    _said: tuple[list[tuple[bytes, bytes]] | None, Any] = None, None  # the last headers, and the event that said them

    sends: str
    """Httpcore's method that sends a request, and tells of each step; `original` is the method as httpcore wrote it,
    `untraced` the same for who tells nobody."""

    original: Any
    untraced: Any

    def taken_over(self) -> None:
        """It was httpcore's until now, and nobody is using it."""
        self._h11_state = Plain(self._h11_state)

    def unheard(self, request: Any) -> bool:
        """Whether nobody listens to httpcore's steps, or has put something in the place of its method."""
        return (
            "trace" not in request.extensions
            and not self.log.isEnabledFor(logging.DEBUG)
            and self.plain.__dict__.get(self.sends) is self.original
        )

    def _head(self, request: Any) -> Any:
        """The event that begins a request."""
        (given, said), target = self._said, request.url.target
        known = request.headers == given
        if known and request.method == said.method and _visible(target):
            return _aimed(said, target)
        try:
            headers = said.headers if known else request.headers
            event = h11.Request(method=request.method, target=target, headers=headers)
        except h11.LocalProtocolError as error:
            raise self.core.LocalProtocolError(error) from error
        self._said = request.headers, event
        return event

    def _bytes_of(self, event: Any) -> bytes | None:
        """What an event of ours puts on the wire."""
        return None if type(event) is h11.Data and not event.data else self._h11_state.send(event)

    def _next_event(self) -> Any:
        try:
            return self._h11_state.next_event()
        except h11.RemoteProtocolError as error:
            raise self.core.RemoteProtocolError(error) from error

    def _received(self, data: bytes) -> None:
        if not data and self._h11_state.their_state is h11.SEND_RESPONSE:
            raise self.core.RemoteProtocolError("Server disconnected without sending a response.")
        self._h11_state.receive_data(data)


class _SyncLine(_Line):
    name = "HTTP11Connection"
    sends, reads = "handle_request", ("__iter__", "close")

    def taken_over(self) -> None:
        super().taken_over()
        self._state_lock = threading.Lock()

    def _send_request_headers(self, request: Any) -> None:
        self._send_event(self._head(request), _patience(request))

    def _send_request_body(self, request: Any) -> None:
        if request.stream is NOTHING:
            self._send_event(END, _patience(request))
        else:
            super()._send_request_body(request)
        meanwhile()

    def _send_event(self, event: Any, timeout: float | None = None) -> None:
        data = self._bytes_of(event)
        if data:
            self._network_stream.write(data, timeout)

    def _receive_event(self, timeout: float | None = None) -> Any:
        event = self._next_event()
        while event is h11.NEED_DATA:
            self._received(self._network_stream.read(self.READ_NUM_BYTES, timeout))
            event = self._next_event()
        return event


class _AsyncLine(_Line):
    name = "AsyncHTTP11Connection"
    sends, reads = "handle_async_request", ("__aiter__", "aclose")

    def taken_over(self) -> None:
        super().taken_over()
        self._state_lock = _UNLOCKED

    async def _send_request_headers(self, request: Any) -> None:
        await self._send_event(self._head(request), _patience(request))

    async def _send_request_body(self, request: Any) -> None:
        if request.stream is NOTHING:
            await self._send_event(END, _patience(request))
        else:
            await super()._send_request_body(request)
        meanwhile()

    async def _send_event(self, event: Any, timeout: float | None = None) -> None:
        data = self._bytes_of(event)
        if data:
            await self._network_stream.write(data, timeout)

    async def _receive_event(self, timeout: float | None = None) -> Any:
        event = self._next_event()
        while event is h11.NEED_DATA:
            self._received(await self._network_stream.read(self.READ_NUM_BYTES, timeout))
            event = self._next_event()
        return event


def _patience(request: Any) -> float | None:
    """Seconds that a write of a request may take."""
    seconds: float | None = request.extensions.get("timeout", {}).get("write")
    return seconds


class _SyncBody(_Httpcores):  # type: ignore[misc]
    """Httpcore's body that has a place in the pool, but one of this module's lines is read without a layer for each."""

    bare: Any
    _closed: bool
    _pool: Any
    _stream: Any

    def __iter__(self) -> Iterator[bytes]:
        inner = self._stream
        try:
            if type(inner) is self.bare:
                yield from inner._connection._receive_response_body(inner._request)
            else:
                yield from inner
        except BaseException as error:
            self.close()
            raise error from None

    def close(self) -> None:
        """The body is over, or nobody wants it: its place in the pool may be another's."""
        if not self._closed:
            self._closed = True
            self._stream.close()
            closing = self._pool._leave(self._pool_request)
            if closing:
                self._pool._close_connections(closing)


_SYNC: Any = _SyncPool, _SyncConnection, _SyncLine
_ASYNC: Any = _AsyncPool, _AsyncConnection, _AsyncLine


class _Unheard:
    """What httpcore opens around each step to tell of it, where nobody listens."""

    __slots__ = ()

    def __call__(self, *_step: Any) -> _Unheard:
        return self

    def __setattr__(self, *_told: Any) -> None:
        """Nobody asks for it."""

    def __enter__(self) -> _Unheard:
        return self

    def __exit__(self, *_error: Any) -> None:
        """Nobody is told."""

    async def __aenter__(self) -> _Unheard:
        return self

    async def __aexit__(self, *_error: Any) -> None:
        """Nobody is told."""


_UNHEARD = _Unheard()


def _untraced(method: Any, **others: Any) -> Any:
    """Httpcore's method, but it tells nobody of its steps."""
    return verbatim(method, Trace=_UNHEARD, **others)


def _answers(kind: Any) -> Any:
    """Httpcore's constructor of an answer, which need not look at each header: h11 has made sure of them."""

    def answer(status: int, *, headers: Any, content: Any, extensions: Any) -> Any:
        made = kind.__new__(kind)
        made.__dict__.update(vars(blank), status=status, headers=headers, stream=content, extensions=extensions)
        return made

    blank = kind(200)
    return answer


def _line_of(line: Any, plain: Any, core: ModuleType, module: ModuleType) -> Any:
    """This module's HTTP/1.1 over one httpcore's, whose own is in `module`."""
    send, stream = plain.__dict__[line.sends], module.HTTP11ConnectionByteStream
    own = isinstance(send, FunctionType) and send.__globals__ is vars(module)
    bodies = type(stream.__name__, (stream,), {name: _untraced(stream.__dict__[name]) for name in line.reads})
    others = {"HTTP11ConnectionByteStream": bodies, "Response": _answers(core.Response)}
    members = {
        "bodies": bodies,
        "core": core,
        "plain": plain,
        "log": module.logger,
        "original": staticmethod(send) if own else None,
        "untraced": _untraced(send, **others) if own else None,
    }
    return type(line.name, (line, plain), members)


@cache
def kinds(core: ModuleType, is_async: bool) -> tuple[Any, Any, type[Dialler]]:
    """Pool, connection and dialler for one httpcore, sync or async."""
    pool, connection, line = _ASYNC if is_async else _SYNC
    base, plain = getattr(core, pool.name), getattr(core, line.name)
    module = import_module(base.handle_async_request.__module__ if is_async else base.handle_request.__module__)
    line = _line_of(line, plain, core, import_module(f"{module.__package__}.http11"))
    body = module.PoolByteStream
    if not is_async:
        body = type(body.__name__, (_SyncBody, body), {"bare": line.bodies})
    return (
        type(pool.name, (pool, base), {"stream": body}),
        type(connection.name, (connection, getattr(core, connection.name)), {"plain": plain, "line": line}),
        AsyncDialler if is_async else SyncDialler,
    )
