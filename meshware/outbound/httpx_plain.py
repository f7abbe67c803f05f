"""What h11's connection is to httpcore's, in a tenth of the steps where an exchange is plain.

h11 follows both ends through their states, and looks at each header of each side several times: of a small call by
httpx that is a fifth. Here it is told nothing, as long as a request has its body at hand and its answer has come with a
whole head, a length, and headers in which nothing is unusual. What is not plain is told to h11 from the beginning, and
h11 then says what it always says. Without I/O; for one connection, so one thread at a time.
"""

from __future__ import annotations

import re
from typing import Any

import h11

from meshware.core.request import TOKEN

END = h11.EndOfMessage()

_NAME = TOKEN.encode()
_lines = re.compile(rb"(%b):([\t -~]*)\r\n" % _NAME).findall
_begun = re.compile(rb"HTTP/1\.1 ([2-5]\d\d) ([ -~]*)\r\n((?:%b:[\t -~]*\r\n)+)\r\n" % _NAME).match
_length = re.compile(rb"[0-9]{1,18}").fullmatch

UNUSUAL = frozenset({b"transfer-encoding", b"expect", b"upgrade"})


class Plain:
    """Stands for the h11 connection `told`, which is idle and a client's."""

    __slots__ = ("_buffer", "_closed", "_due", "_ended", "_framed", "_left", "_sent", "_telling", "_told", "_total")

    def __init__(self, told: h11.Connection) -> None:
        self._told = told
        self._framed: tuple[Any, int | None, bytes] = None, None, b""  # the last headers, and what they come to
        self._begin(b"")

    def _begin(self, buffer: bytes) -> None:
        self._telling = False  # whether h11 has this exchange
        self._sent: list[Any] = []  # our events of it
        self._left = 0  # bytes of our body that are to come
        self._buffer, self._closed = buffer, False
        self._total: int | None = None  # of the answer's body, once that has begun
        self._due = 0  # bytes of it that are to come
        self._ended = False

    def _tell(self) -> h11.Connection:
        """Have h11 know all of this exchange."""
        if not self._telling:
            self._telling = True
            for event in self._sent:
                self._told.send(event)
            if self._buffer:
                self._told.receive_data(self._buffer)
        return self._told

    @property
    def our_state(self) -> Any:
        """As h11's."""
        if self._telling:
            return self._told.our_state
        return h11.DONE if self._over() else h11.SEND_BODY if self._sent else h11.IDLE

    @property
    def their_state(self) -> Any:
        """As h11's."""
        if self._telling:
            return self._told.their_state
        if self._total is None:
            return h11.SEND_RESPONSE if self._sent else h11.IDLE
        return h11.DONE if self._ended else h11.ERROR if self._closed and self._due else h11.SEND_BODY

    @property
    def trailing_data(self) -> tuple[bytes, bool]:
        """What has come and is of no event yet, and whether no more will."""
        return self._told.trailing_data if self._telling else (self._buffer, self._closed)

    def start_next_cycle(self) -> None:
        """Be idle again. Raises LocalProtocolError where this exchange is not over."""
        if self._telling or self._total is None:
            self._tell().start_next_cycle()
            if self._told.trailing_data == (b"", False):
                self._begin(b"")
        elif self._ended:
            self._begin(self._buffer)
        else:
            raise h11.LocalProtocolError("the answer is not over")

    # What we send

    def send(self, event: Any) -> bytes | None:
        """What it puts on the wire. Raises LocalProtocolError."""
        data = None if self._telling else self._at_once(event)
        if data is None:
            data = self._tell().send(event)
        else:
            self._sent.append(event)
        return data

    def _at_once(self, event: Any) -> bytes | None:
        """The bytes; None where h11 has to look at it."""
        kind = type(event)
        if not self._sent:
            return self._head(event) if kind is h11.Request and not self._buffer else None
        if kind is h11.Data and self._left and len(event.data) == self._left:
            self._left = 0
            return bytes(event.data)
        if kind is h11.EndOfMessage and not (self._left or event.headers or self._over()):
            return b""
        return None

    def _over(self) -> bool:
        return bool(self._sent) and type(self._sent[-1]) is h11.EndOfMessage

    def _head(self, event: h11.Request) -> bytes | None:
        headers, length, lines = self._framed
        if event.headers is not headers:
            length, lines = _framed(event.headers)
            self._framed = event.headers, length, lines
        if length is None or event.method in (b"HEAD", b"CONNECT"):
            return None
        self._left = length
        return b"%b %b HTTP/1.1\r\n%b" % (event.method, event.target, lines)

    # What comes

    def receive_data(self, data: bytes) -> None:
        """More of the answer; nothing: there will be no more."""
        if self._telling or (not data and self._total is None):
            self._tell().receive_data(data)
        elif data:
            self._buffer += data
        else:
            self._closed = True

    def next_event(self) -> Any:
        """What has come. Raises RemoteProtocolError."""
        if self._telling:
            return self._told.next_event()
        if self._total is None:
            return (self._answer() or self._tell().next_event()) if self._buffer else h11.NEED_DATA
        if self._due:
            return self._piece()
        if self._ended:
            return h11.PAUSED if self._buffer else h11.NEED_DATA
        self._ended = True
        return END

    def _piece(self) -> Any:
        """Of the answer's body."""
        piece, self._buffer = self._buffer[: self._due], self._buffer[self._due :]
        if piece:
            self._due -= len(piece)
            return h11.Data(data=piece)
        if not self._closed:
            return h11.NEED_DATA
        raise h11.RemoteProtocolError(
            "peer closed connection without sending complete message body "
            f"(received {self._total - self._due} bytes, expected {self._total})"  # type: ignore[operator]
        )

    def _answer(self) -> h11.Response | None:
        """The head of an answer; None where h11 has to look at it."""
        whole = _begun(self._buffer) if self._over() else None
        if whole is None or whole[1] in (b"204", b"304"):
            return None
        items = [(name, name.lower(), value.strip(b"\t ")) for name, value in _lines(whole[3])]
        said = {name: value for _, name, value in items}
        length = said.get(b"content-length", b"")
        if _length(length) is None or len(said) < len(items) or not UNUSUAL.isdisjoint(said):
            return None
        if said.get(b"connection", b"keep-alive").lower() != b"keep-alive":
            return None
        self._total = self._due = int(length)
        self._buffer = self._buffer[whole.end() :]
        return _response(int(whole[1]), whole[2], type(self._sent[0].headers)(items))


def _response(status: int, reason: bytes, headers: Any) -> h11.Response:
    """h11's event; its own constructor looks through the headers again."""
    event = object.__new__(h11.Response)
    for name, value in (("status_code", status), ("reason", reason), ("headers", headers), ("http_version", b"1.1")):
        object.__setattr__(event, name, value)
    return event


def _framed(headers: Any) -> tuple[int | None, bytes]:
    """How long a body these headers of a request tell of, and their lines as h11 writes them; None: h11 must see."""
    said = dict(headers)
    kept = all(value.lower() == b"keep-alive" for name, value in headers if name == b"connection")
    length = _length(said.get(b"content-length", b"0"))
    if length is None or not kept or not UNUSUAL.isdisjoint(said):
        return None, b""
    lines = sorted(headers.raw_items(), key=lambda item: item[0].lower() != b"host")
    return int(length[0]), b"".join([b"%b: %b\r\n" % item for item in lines]) + b"\r\n"
