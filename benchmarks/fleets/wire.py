"""The HTTP/1.1 client that all contenders send by, so that the client is not what differs: GET, keep-alive, no more.

An answer is told when its body has come whole; the bodies here are some bytes. Not thread-safe.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

Address = tuple[str, int]


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]


class Unsent(OSError):
    """No connection was made, so nothing was sent; `refused`, or it took too long."""

    def __init__(self, address: Address, *, refused: bool) -> None:
        super().__init__(f"no connection to {address[0]}:{address[1]}")
        self.refused = refused


class Broken(OSError):
    """The connection ended before the answer had come."""


class Client:
    """Connections to any address, kept for as long as the other side keeps them."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[Connection]] = {}

    async def get(self, address: Address, headers: Mapping[str, str]) -> Answer:
        """GET /items there. Raises Unsent and Broken; when cancelled, the connection is closed."""
        return await self.ask(await self.connected(address, 3.0), headers)

    async def connected(self, address: Address, seconds: float) -> Connection:
        """A connection that is idle, or a new one; making it may take so long. Raises Unsent."""
        idle = self._idle.setdefault(address, [])
        while idle:
            connection = idle.pop()
            if connection.kept:
                return connection
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                connection = (await loop.create_connection(Connection, *address))[1]
        except OSError as error:  # TimeoutError is one
            raise Unsent(address, refused=isinstance(error, ConnectionRefusedError)) from error
        connection.idle = idle
        return connection

    async def ask(self, connection: Connection, headers: Mapping[str, str]) -> Answer:
        """GET /items by this connection. Raises Broken; when cancelled, it is closed."""
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        try:
            answer = await connection.ask(f"GET /items HTTP/1.1\r\nhost: fleet\r\n{head}\r\n".encode("ascii"))
        except BaseException:
            connection.close()
            raise
        if connection.kept:
            connection.idle.append(connection)
        return answer

    def close(self) -> None:
        """Close what is idle."""
        for each in (each for idle in self._idle.values() for each in idle):
            each.close()


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.kept = True
        """Whether another request may follow."""

        self.idle: list[Connection] = []
        """Where it is kept then."""

        self._transport: Any = None
        self._read = b""
        self._answer: asyncio.Future[Answer] | None = None

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send it; the future has the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def close(self) -> None:
        """At once: what may still come is nobody's."""
        self.kept = False
        self._transport.abort()

    def connection_made(self, transport: Any) -> None:
        """It is there."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """A part of the answer, mostly all of it."""
        self._read += data
        head, separator, body = self._read.partition(b"\r\n\r\n")
        if not separator or self._answer is None or self._answer.done():
            return
        answer = parsed(head)
        length = answer.headers.get("content-length")
        if length is None or len(body) < int(length):
            self.kept = length is not None
            return
        self._read = b""
        self.kept = answer.headers.get("connection", "").lower() != "close"
        self._answer.set_result(answer)

    def connection_lost(self, error: Exception | None) -> None:
        """It is over; an answer that told no length ends so."""
        self.kept = False
        if self._answer is None or self._answer.done():
            return
        head, separator, _ = self._read.partition(b"\r\n\r\n")
        if separator and "content-length" not in (answer := parsed(head)).headers:
            self._answer.set_result(answer)
        else:
            self._answer.set_exception(Broken("the connection ended before the answer"))


def parsed(head: bytes) -> Answer:
    """Status and headers, by their names in lower case."""
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Answer(int(first[9:12]), {name.lower(): value.strip() for name, _, value in pairs})
