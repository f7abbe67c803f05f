"""The demo's own HTTP client: one GET or POST on a fresh loopback connection, read to its end.

As plain as it can be, so that what the demo measures is the servers and not a client library.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple


class Answer(NamedTuple):
    """Status and body."""

    status: int
    body: bytes


async def ask(port: int, target: str, *, method: str = "GET", timeout: float = 3.0) -> Answer:
    """The whole answer. Raises OSError (TimeoutError is one) or ValueError when there is none."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            return parsed(await reader.read(-1))
        finally:
            writer.close()


def parsed(raw: bytes) -> Answer:
    """An answer from its bytes; ValueError when it is cut short."""
    head, end, body = raw.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    if not end or not line.startswith(b"HTTP/1.1 "):
        raise ValueError("no whole HTTP answer")
    for field in fields:
        name, _, value = field.partition(b":")
        if name.strip().lower() == b"content-length" and int(value) != len(body):
            raise ValueError("the body is cut short")
    return Answer(int(line[9:12]), body)
