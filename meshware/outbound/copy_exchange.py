"""One copy of a call, sent by http.client over connections of the mirror's own, whichever client has made the call.

Its answer is read within limits of time and of bytes, and thrown away. Blocks the calling thread.
"""

from __future__ import annotations

import http.client
import socket
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

from meshware.core.errors import MeshError
from meshware.core.mirrored import Answer
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.outbound import wire as wires
from meshware.outbound.addresses import connected
from meshware.outbound.drive import drive
from meshware.outbound.errors import cause_of, chain
from meshware.outbound.exchange import LEAST, answer_of, behind, headers_for
from meshware.outbound.looks import EITHER, PIECE
from meshware.outbound.race import cut_of
from meshware.outbound.reaper import reaper
from meshware.outbound.wire import Wire, WireResponse
from meshware.security.tls import Tls, TlsOptions

if TYPE_CHECKING:
    from meshware.core.attempt import Attempt
    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint

KEPT = 64
"""Connections that a thread keeps; of one endpoint it keeps one."""


class Connections:
    """The connections of one thread to endpoints of one service, while that service is the same."""

    def __init__(self) -> None:
        self._service: Any = None
        self._tls: Tls | None = None
        self._idle: dict[str, socket.socket] = {}

    def tls(self, service: Any) -> Tls | None:
        """What its connections are secured by."""
        if service is not self._service:
            self.close()
            self._service = service
            self._tls = None if service.tls is None else Tls(TlsOptions.of(service.name, service.tls))
        return self._tls

    def take(self, endpoint: Endpoint) -> socket.socket | None:
        """One that was kept; not where the server has closed it meanwhile, or said something that nobody asked for."""
        sock = self._idle.pop(endpoint.address, None)
        if sock is not None and _said_something(sock):
            sock.close()
            return None
        return sock

    def keep(self, endpoint: Endpoint, sock: socket.socket) -> None:
        """For the next copy to this endpoint."""
        if len(self._idle) >= KEPT:
            self.close()
        self._idle[endpoint.address] = sock

    def close(self) -> None:
        """Keep none."""
        idle, self._idle = self._idle, {}
        for sock in idle.values():
            sock.close()


def _said_something(sock: socket.socket) -> bool:
    sock.settimeout(0)
    try:
        socket.socket.recv(sock, 1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


class Body:
    """A body as it is read: `plain` is all of it, uncompressed; None once it is too long, or not to be understood."""

    def __init__(self, encoding: str | None, most: int) -> None:
        encoding, self._most = (encoding or "identity").strip().lower(), most
        self._unpacker: Any = zlib.decompressobj(EITHER) if encoding in ("gzip", "x-gzip", "deflate") else None
        self.plain: bytes | None = b"" if encoding == "identity" or self._unpacker is not None else None

    def add(self, piece: bytes) -> None:
        """The next bytes as they came."""
        if self.plain is None:
            return
        try:
            if self._unpacker is not None:
                piece = self._unpacker.decompress(piece, self._most + 1 - len(self.plain))
        except zlib.error:
            self.plain = None
            return
        self.plain = self.plain + piece if len(self.plain) + len(piece) <= self._most else None


class Exchange:
    """The copy and its answer. `outcome` is None where nothing was sent, and `refused` says why."""

    def __init__(self, call: Call, body: bytes, connections: Connections, *, most: int) -> None:
        self.call, self._body, self._connections, self._most = call, body, connections, most
        self._tls = connections.tls(call.service)
        self.outcome: Outcome | None = None
        self.refused: str | None = None

    def run(self) -> Answer | None:
        """The answer, read to its end or as far as is allowed; None where there is none."""
        try:
            won = drive(self.call, self._send, _drop)
        except (MeshError, *FAILURES) as error:
            if self.outcome is None:
                self.refused = type(error).__name__
            return None
        return self._read(won)

    def _send(self, attempt: Attempt) -> Outcome:
        began = time.monotonic()
        wire = attempt.cancel = self._wire(attempt)
        reaper().watch(wire.cut)
        token = wires.current.set(wire)
        try:
            answer = attempt.answer = self._answer(attempt, wire)
        except FAILURES as error:
            wire.cut.release()
            if wire.socket is not None:
                wire.socket.close()
            cause = Cause.LOCAL if isinstance(error, UNSAYABLE) else cause_of(chain(error), wire)
            self.outcome = Outcome(
                elapsed=wire.took(began), cause=cause, error=error, sent=wire.sent, connect=wire.connected_in
            )
            return self.outcome
        finally:
            wires.current.reset(token)
        self.outcome = answer_of(
            answer.status,
            answer.headers,
            elapsed=wire.took(began),
            connect=wire.connected_in,
            endless=answer.length is None,
            asked=attempt.asked,
        )
        return self.outcome

    def _wire(self, attempt: Attempt) -> Wire:
        return Wire(
            self,
            cut_of(self.call, attempt),
            connect_for=attempt.connect_by - attempt.began,
            patience=behind(self.call, attempt),
            endpoint=attempt.endpoint,
        )

    def _answer(self, attempt: Attempt, wire: Wire) -> Any:
        """The answer's head. Raises one of FAILURES."""
        request = self.call.request
        connection = http.client.HTTPConnection(self.call.service.name)
        connection.response_class = WireResponse
        sock = self._connections.take(attempt.endpoint)
        if sock is None:
            sock = self._dialled(wire)
        else:
            wire.begun = time.monotonic()
            wire.hold(sock)
        connection.sock = sock
        headers: Any = {**request.headers, **headers_for(self.call, attempt, attempt.began)}
        wire.sent = True
        connection.request(request.method, request.target, self._body or None, headers)
        return connection.getresponse()

    def _dialled(self, wire: Wire) -> socket.socket:
        wire.begun = began = time.monotonic()
        within = max(LEAST, min(wire.connect_for, wire.cut.until - began))
        sock = connected((wire.endpoint.host, wire.endpoint.port), socket.create_connection, within=within)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = _secured(sock, self._tls, wire, began + within)
            wire.hold(sock)
        except BaseException:
            wire.cut.release()
            sock.close()
            raise
        wire.connected_in = time.monotonic() - began
        return sock

    def _read(self, won: Attempt) -> Answer:
        """Read the answer, and close it; its connection is kept where it was read to its end."""
        answer, wire, outcome = won.answer, won.cancel, won.outcome
        won.answer = won.cancel = None
        assert outcome is not None
        wire.follow_bare(answer, partial(_ended, self.call, won, outcome.elapsed - wire.reading))
        wire.cut.put_off(self.call.deadline.at)
        reaper().watch(wire.cut)
        body, left = Body(answer.headers.get("content-encoding"), self._most), self._most
        try:
            while left > 0 and (piece := answer.read(min(PIECE, left))):
                left -= len(piece)
                body.add(piece)
        except FAILURES:
            wire.failed = True
        finally:
            answer.close()
            wire.cut.release()
            whole = wire.ending is Ending.COMPLETE
            if whole and not answer.will_close and not wire.cut.fired:
                self._connections.keep(won.endpoint, wire.socket)
            else:
                wire.socket.close()
        return Answer(answer.status, answer.headers, body.plain if whole else None)


FAILURES = (OSError, http.client.HTTPException, ValueError)
"""What http.client says of a connection, of an answer and of a request."""


UNSAYABLE = (ValueError, http.client.InvalidURL)
"""What it says of a request that HTTP cannot say."""


def _drop(attempt: Attempt) -> None:
    raise AssertionError("a copy is sent once, so no answer of it is dropped")


def _ended(call: Call, attempt: Attempt, elsewhere: float, ending: Ending, reading: float) -> None:
    call.ended(attempt, ending, elsewhere + reading, time.monotonic())


def _secured(sock: socket.socket, tls: Tls, wire: Wire, until: float) -> socket.socket:
    """Over TLS. While hands are shaken the socket is the TLS layer's: what can be cut is a second handle on it."""
    with sock.dup() as handle:
        wire.cut.attach(handle)
        try:
            sock.settimeout(max(LEAST, until - time.monotonic()))
            secured = tls(sock)
            wire.cut.attach(secured)
        except BaseException:
            wire.cut.release()
            raise
        return secured
