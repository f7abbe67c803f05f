"""An answer's bytes: HTTP/1.1 of http.client, made honest and cuttable.

A 103 is not the final answer, headers cut short are an error, bytes read after a cut are dropped, and
the end of each body is told once. Knows urllib3 and the reaper, nothing of calls.
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

from meshware.core.outcome import BROKEN, COMPLETE, DROPPED, Ending
from meshware.outbound.exchange import STALL
from meshware.outbound.heads import begin
from meshware.outbound.looks import PIECE, Chunks, Look

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

    from meshware.core.endpoint import Endpoint
    from meshware.outbound.reaper import Cut

INTERIM_LIMIT = 100
"""1xx answers that are skipped before the final one; more are an error."""


NOTHING: frozenset[str] = frozenset()


class Wire:
    """What one attempt's bytes do, for how long they may, and what was seen. Written by the thread that sends.

    `server_name` is the name that the endpoint's certificate must have where it is not the logical one. `begun`: when
    it had a connection, or began to make one (monotonic); 0.0 while it waits for a place in the pool.
    `headers` go out with this attempt, by lower-case names, those in `without` do not; `target` is what goes out in the
    place of the URL's path and query; `authority` is the URL's scheme and netloc.
    `patience` is what each single read or write may take (seconds), behind the cut, in case no reaper runs.
    `meanwhile` is called (monotonic) when the request is out and its answer is waited for.
    """

    __slots__ = (
        "_ended", "answer", "authority", "begun", "connect_for", "connected_in", "cut", "ending", "endpoint",
        "eof", "failed", "headers", "last", "looked", "meanwhile", "patience", "reading", "request", "sent",
        "server_name", "socket", "target", "without",
    )  # fmt: skip

    def __init__(self, request: object, cut: Cut, *, connect_for: float, patience: float, endpoint: Endpoint) -> None:
        self.request = request
        self.cut = cut
        self.endpoint = endpoint
        self.server_name: str | None = None
        self.headers: dict[str, str] = {}
        self.without: frozenset[str] = NOTHING
        self.target: str | None = None
        self.authority: tuple[str, str] = ("", "")
        self.connect_for = connect_for
        self.patience = patience
        self.connected_in: float | None = None
        self.socket: socket.socket | None = None
        self.begun = 0.0
        self.sent = False
        self.reading = 0.0
        self.looked = 0.0  # of that, the part after the headers in which the body was looked at
        self.last = 0.0
        self.eof = False
        self.failed = False
        self.ending: Ending | None = None
        self.meanwhile: Callable[[float], None] = _nothing
        self.answer: Callable[[], HTTPResponse | None] = _none
        self._ended: Callable[[Ending, float], None] | None = None

    def took(self, began: float) -> float:
        """Seconds until now of what began then, those not counted for which it waited for a place in the pool."""
        return time.monotonic() - (self.begun or began)

    def hold(self, sock: socket.socket) -> None:
        """The connection stands; no read or write on it takes longer than `patience`."""
        self.socket = sock
        self.cut.attach(sock)
        sock.settimeout(self.patience)

    def lose(self) -> None:
        """Another attempt has made this one useless."""
        self.cut.lose()

    def bound(self, patience: float | None) -> None:
        """Seconds that a read of the body may wait for a byte; None: for ever."""
        if self.ending is None and self.socket is not None:
            self.socket.settimeout(patience)

    def follow(self, answer: HTTPResponse, ended: Callable[[Ending, float], None]) -> None:
        """`follow_bare` for who reads by urllib3."""
        inner: Any = answer._original_response
        if inner.chunked:
            self.answer = weakref.ref(answer)
        self.follow_bare(inner, ended)

    def follow_bare(self, answer: http.client.HTTPResponse, ended: Callable[[Ending, float], None]) -> None:
        """Have `ended(ending, seconds inside reads, those of the headers included)` called once when the body is over.

        It may be called from a finalizer, and must then take no lock.
        """
        if not answer.chunked and self.ending is None and answer.length == 0:
            self.ending = COMPLETE
        if self.ending is None:
            self._ended = ended
        else:
            ended(self.ending, self.reading)

    def over(self, ending: Ending) -> None:
        """The body has ended."""
        if self.ending is None:
            self.ending = ending
            ended, self._ended = self._ended, None  # the connection keeps its last wire, which need not keep the call
            if ended is not None:
                ended(ending, self.reading)


def _none() -> None:
    return None


def _nothing(_now: float) -> None:
    """What is done meanwhile where nobody has said anything."""


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

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What http.client asks a socket for."""
        return io.BufferedReader(self)

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


class _Again(io.RawIOBase):
    """Bytes that have been read already, then the rest; or the error that ended them."""

    def __init__(self, ahead: bytes, error: Exception | None, rest: io.BufferedReader) -> None:
        super().__init__()
        self._ahead, self._error, self._rest = memoryview(ahead), error, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._ahead:
            count = min(len(buffer), len(self._ahead))
            buffer[:count], self._ahead = self._ahead[:count], self._ahead[count:]
            return count
        if self._error is not None:
            raise self._error
        return self._rest.readinto1(buffer)

    def close(self) -> None:
        self._rest.close()
        super().close()


class WireResponse(http.client.HTTPResponse):
    """http.client's response: reads through _Bytes, skips 1xx, wants whole headers, tells its end."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        self.wire = current.get()
        self._trailed = False
        super().__init__(_Bytes(sock, self.wire), *args, **kwargs)  # type: ignore[arg-type]

    def begin(self) -> None:
        begin(self)
        if self.wire.eof:  # no reader asks for more after the empty line that ends the headers
            raise http.client.RemoteDisconnected("the answer ended inside its headers")

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(INTERIM_LIMIT):
            status: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
            if not 100 < status[1] < 200 or status[1] == http.HTTPStatus.SWITCHING_PROTOCOLS:
                return status
            http.client.parse_headers(self.fp)
        raise http.client.BadStatusLine(f"more than {INTERIM_LIMIT} interim answers")

    def look(self, look: Look, until: float) -> None:
        """Read ahead until enough is known, the body is over or broken, or the time (monotonic) has come.

        Whoever reads the body gets all of it, as it came, and what broke it then.
        """
        rest: Any = self.fp
        if rest is None:
            return
        ahead, error, before = bytearray(), None, self.wire.reading
        try:
            self._read_ahead(rest, ahead, look, until)
        except Exception as caught:
            error = caught
        self.wire.looked = self.wire.reading - before
        self.fp = io.BufferedReader(_Again(bytes(ahead), error, rest))

    def _read_ahead(self, rest: Any, ahead: bytearray, look: Look, until: float) -> None:
        chunks = Chunks() if self.chunked else None
        while not look.full and time.monotonic() < until:
            left = PIECE if self.length is None else min(PIECE, self.length - len(ahead))
            piece = rest.read1(left) if left > 0 else b""
            if not piece:
                return
            ahead += piece
            look.add(piece if chunks is None else chunks.feed(piece))
            if chunks is not None and chunks.over:
                return

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
            return BROKEN if time.monotonic() - wire.last > STALL else DROPPED
        if wire.failed:
            return BROKEN
        if self._whole():
            return COMPLETE
        return BROKEN if wire.eof or _not_understood() else DROPPED

    def _whole(self) -> bool:
        """Whether all was read, by whichever of the two reads the chunks."""
        if self.chunked:
            answer = self.wire.answer()
            return self._trailed or (answer is not None and answer.chunk_left == 0)
        return self.length == 0 or (self.length is None and self.wire.eof)


def _not_understood() -> bool:
    """Whether a reader gives up on what it read, such as a chunk without a size: it closes while it handles that."""
    error = sys.exc_info()[1]
    handler = None if error is None or error.__traceback__ is None else error.__traceback__.tb_frame
    return handler is not None and handler.f_globals.get("__name__") in ("http.client", "urllib3.response")
