"""HTTP/1.1 on urllib3 and http.client, made honest and cuttable.

Pools, connections and responses of urllib3 that carry the logical name and dial an endpoint, whose
socket can be cut from the moment it exists, where a 103 is not the final answer, headers cut short are
an error, bytes read after a cut are dropped, and the end of each body is told once. Knows urllib3 and
the reaper, nothing of calls.
"""

from __future__ import annotations

import http.client
import io
import socket
import sys
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.poolmanager import key_fn_by_scheme
from urllib3.util.connection import create_connection
from urllib3.util.retry import Retry

from meshware.core.outcome import Ending

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

    from meshware.outbound.reaper import Cut

INTERIM_LIMIT = 100
"""1xx answers that are skipped before the final one; more are an error."""

STALL = 1.0
"""Seconds without a byte after which a body that we cut was stalled, not merely long."""

LEAST = 0.001
"""The shortest socket timeout; 0 would mean non-blocking."""

NO_RETRIES = Retry(0, read=False)
"""Urllib3 tries once: trying again is the call's business."""


class Wire:
    """What one attempt's bytes do: until when they may, and what was seen. Written by the thread that sends.

    `until` bounds each single read or write (monotonic), behind the cut, in case no reaper runs.
    `pool_options` choose the connection; `endpoint`, a host and a port to dial, is always one.
    """

    __slots__ = (
        "_ended", "answer", "connect_by", "connected_in", "cut", "ending",
        "eof", "failed", "last", "pool_options", "reading", "request", "sent", "socket", "until",
    )  # fmt: skip

    def __init__(
        self, request: object, cut: Cut, *, connect_by: float, until: float, pool_options: dict[str, Any]
    ) -> None:
        self.request = request
        self.cut = cut
        self.pool_options = pool_options
        self.connect_by = connect_by
        self.until = until
        self.connected_in: float | None = None
        self.socket: socket.socket | None = None
        self.sent = False
        self.reading = 0.0
        self.last = 0.0
        self.eof = False
        self.failed = False
        self.ending: Ending | None = None
        self.answer: Callable[[], HTTPResponse | None] = _none
        self._ended: Callable[[Ending, float], None] | None = None

    def left(self) -> float:
        """Seconds that a single read or write may take."""
        return max(LEAST, self.until - time.monotonic())

    def hold(self, sock: socket.socket) -> None:
        """The connection stands; until the headers have come, no read or write on it takes longer than `until`."""
        self.socket = sock
        self.cut.attach(sock)
        sock.settimeout(self.left())

    def bound(self, patience: float | None) -> None:
        """Seconds that a read of the body may wait for a byte; None: for ever."""
        if self.ending is None and self.socket is not None:
            self.socket.settimeout(patience)

    def follow(self, answer: HTTPResponse, ended: Callable[[Ending, float], None]) -> None:
        """Have `ended(ending, seconds inside reads)` called once when the body is over.

        It may be called from a finalizer, and must then take no lock.
        """
        self.answer = weakref.ref(answer)
        before = self.reading
        inner: Any = answer._original_response
        if self.ending is None and inner.length == 0 and not inner.chunked:
            self.ending = Ending.COMPLETE
        if self.ending is not None:
            ended(self.ending, 0.0)
        else:
            self._ended = lambda ending, reading: ended(ending, reading - before)

    def over(self, ending: Ending) -> None:
        """The body has ended."""
        if self.ending is None:
            self.ending = ending
            if self._ended is not None:
                self._ended(ending, self.reading)


def _none() -> None:
    return None


current: ContextVar[Wire] = ContextVar("meshware_wire")
"""The attempt that is being sent on this thread."""


class CutOff(TimeoutError):
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
            wire.failed = True
            raise
        finally:
            now = time.monotonic()
            wire.reading += now - began
        if wire.cut.fired:
            wire.failed = True
            raise CutOff("cut at the deadline")
        if count:
            wire.last = now
        else:
            wire.eof = True
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Source:
    """What http.client takes for the socket: it only makes the file to read from."""

    def __init__(self, sock: socket.socket, wire: Wire) -> None:
        self._bytes = _Bytes(sock, wire)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self._bytes)


class _Headers:
    """The lines of a header block; end of file inside it is an error, not the end of the headers."""

    def __init__(self, lines: io.BufferedReader) -> None:
        self._readline = lines.readline
        self.close = lines.close

    def readline(self, limit: int = -1) -> bytes:
        line = self._readline(limit)
        if not line:
            raise http.client.RemoteDisconnected("the answer ended inside its headers")
        return line


class WireResponse(http.client.HTTPResponse):
    """http.client's response: reads through _Bytes, skips 1xx, wants whole headers, tells its end."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self.wire = current.get()
        self._trailed = False
        super().__init__(_Source(sock, self.wire), *args, **kwargs)  # type: ignore[arg-type]

    def begin(self) -> None:
        lines = self.fp
        self.fp = _Headers(lines)  # type: ignore[assignment]
        try:
            super().begin()
        finally:
            if self.fp is not None:
                self.fp = lines

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(INTERIM_LIMIT):
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 < status[1] < 200 or status[1] == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return status
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine(f"more than {INTERIM_LIMIT} interim answers")

    def _read_and_discard_trailer(self) -> None:
        super()._read_and_discard_trailer()  # type: ignore[misc]
        self._trailed = True

    def _close_conn(self) -> None:
        """Nothing more is read: at the end, after an error, or because nobody wants it."""
        self.wire.cut.release()
        self.wire.over(self._ending())
        super()._close_conn()  # type: ignore[misc]

    def _ending(self) -> Ending:
        wire = self.wire
        if wire.cut.fired:
            return Ending.BROKEN if time.monotonic() - wire.last > STALL else Ending.DROPPED
        if wire.failed:
            return Ending.BROKEN
        if self._whole():
            return Ending.COMPLETE
        nonsense = isinstance(sys.exc_info()[1], http.client.HTTPException)  # such as a chunk without a size
        return Ending.BROKEN if wire.eof or nonsense else Ending.DROPPED

    def _whole(self) -> bool:
        """Whether all was read, by whichever of the two reads the chunks."""
        if self.chunked:
            answer = self.wire.answer()
            return self._trailed or (answer is not None and answer.chunk_left == 0)
        return self.length == 0 or (self.length is None and self.wire.eof)


class _Cuttable:
    """What both connection classes add to urllib3's: the endpoint to dial, and what the wire must know."""

    response_class: Any = WireResponse
    sock: Any
    timeout: Any

    def __init__(self, *args: Any, endpoint: tuple[str, int], **kwargs: Any) -> None:
        self._endpoint = endpoint
        self._wire: Wire | None = None
        self._answering = False
        super().__init__(*args, **kwargs)

    def connect(self) -> None:
        self._wire = wire = current.get()
        began = time.monotonic()
        self.timeout = max(LEAST, wire.connect_by - began)
        super().connect()  # type: ignore[misc]
        wire.hold(self.sock)
        wire.connected_in = time.monotonic() - began

    def _new_conn(self) -> socket.socket:
        """Urllib3's, but to the endpoint, while errors speak of the logical name."""
        me: Any = self
        try:
            sock = create_connection(
                self._endpoint, self.timeout, source_address=me.source_address, socket_options=me.socket_options
            )
        except socket.gaierror as error:
            raise NameResolutionError(me.host, me, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(
                me, f"Connection to {me.host} timed out. (connect timeout={self.timeout})"
            ) from error
        except OSError as error:
            raise NewConnectionError(me, f"Failed to establish a new connection: {error}") from error
        return sock

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            self._wire = wire = current.get()
            wire.hold(self.sock)
        super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        current.get().sent = True
        super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        self._answering = True
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            self._answering = False

    def close(self) -> None:
        """The socket must not be cut once it is closed: its number may be another call's by then.

        An answer that ends with its connection is still being read from a closed one.
        """
        if self._wire is not None and not self._answering:
            self._wire.cut.release()
        super().close()  # type: ignore[misc]

    def let_go(self) -> None:
        """Back to the pool; closed unless the answer was read to its end and nobody has cut it."""
        wire, self._wire = self._wire, None
        if wire is not None and (not wire.cut.release() or wire.ending is not Ending.COMPLETE):
            self.close()


class WireHTTPConnection(_Cuttable, HTTPConnection):
    """Plain HTTP/1.1."""


class WireHTTPSConnection(_Cuttable, HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        """While hands are shaken the socket belongs to the TLS layer: what can be cut is a second handle on it."""
        self._handle: socket.socket | None = None
        try:
            super().connect()
        except BaseException:
            current.get().cut.release()
            raise
        finally:
            if self._handle is not None:
                self._handle.close()

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self._handle = sock.dup()
        current.get().cut.attach(self._handle)
        return sock


class _Once:
    """What both pool classes add: one try, a bounded wait for a connection, a check of what comes back."""

    def urlopen(self, *args: Any, **kwargs: Any) -> Any:
        kwargs |= {"retries": NO_RETRIES, "pool_timeout": current.get().left()}
        return super().urlopen(*args, **kwargs)  # type: ignore[misc]

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.let_go()
        super()._put_conn(conn)  # type: ignore[misc]


class WireHTTPConnectionPool(_Once, HTTPConnectionPool):
    """Plain connections to one endpoint, under the logical name."""

    ConnectionCls = WireHTTPConnection


class WireHTTPSConnectionPool(_Once, HTTPSConnectionPool):
    """TLS connections to one endpoint, verified for the logical name."""

    ConnectionCls = WireHTTPSConnection


def _keyed(scheme: str) -> Callable[[dict[str, Any]], Any]:
    """Urllib3's pool key, by endpoint: two names at one endpoint, or two endpoints of a name, share nothing."""
    plain: Any = key_fn_by_scheme[scheme]

    def key(context: dict[str, Any]) -> Any:
        context = context.copy()
        return context.pop("endpoint"), plain(context)

    return key


class WirePools(PoolManager):
    """Pools per logical name and endpoint; `pool_kwargs` must give `endpoint`, a host and a port to dial."""

    def __init__(self, num_pools: int, **options: Any) -> None:
        super().__init__(num_pools, **options)
        self.pool_classes_by_scheme = {"http": WireHTTPConnectionPool, "https": WireHTTPSConnectionPool}
        self.key_fn_by_scheme: Any = {scheme: _keyed(scheme) for scheme in ("http", "https")}
