"""The first pieces of an httpx answer's body, read before it is judged and handed to the client all the same."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

from meshware.outbound.exchange import STALL
from meshware.outbound.looks import Look


class SyncAhead:
    """An answer's body of which some has been read ahead; whatever broke it then breaks it for the reader."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._pieces = inner, iter(inner)
        self._ahead: deque[bytes] = deque()
        self.error: Exception | None = None

    def look(self, look: Look, until: float) -> None:
        """Read until enough is known, the body is over or broken, or the time (monotonic) has come."""
        try:
            while not look.full and time.monotonic() < until:
                piece = next(self._pieces, None)
                if piece is None:
                    return
                self._ahead.append(piece)
                look.add(piece)
        except Exception as error:
            self.error = error

    def __iter__(self) -> Iterator[bytes]:
        while self._ahead:
            yield self._ahead.popleft()
        if self.error is not None:
            raise self.error
        yield from self._pieces

    def close(self) -> None:
        """Nothing more is read."""
        self._ahead.clear()
        self._inner.close()


class AsyncAhead:
    """The same on a loop."""

    def __init__(self, inner: Any) -> None:
        self._inner, self._pieces = inner, inner.__aiter__()
        self._httpcore_stream = getattr(inner, "_httpcore_stream", None)  # for who closes it (see httpx_pools.closed)
        self._ahead: deque[bytes] = deque()
        self.error: Exception | None = None

    async def look(self, look: Look, until: float, late: Exception | None) -> None:
        """The same; with `late` the time ends a read in its midst, and the body with it."""
        last = time.monotonic()
        try:
            async with asyncio.timeout(None if late is None else until - last):
                while not look.full and time.monotonic() < until:
                    piece = await anext(self._pieces, None)
                    if piece is None:
                        return
                    last = time.monotonic()
                    self._ahead.append(piece)
                    look.add(piece)
        except TimeoutError as error:
            self.error = late if late is not None and time.monotonic() - last > STALL else error
        except Exception as error:
            self.error = error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while self._ahead:
                yield self._ahead.popleft()
            if self.error is not None:
                raise self.error
            async for piece in self._pieces:
                yield piece
        finally:
            if hasattr(self._pieces, "aclose"):
                await self._pieces.aclose()

    async def aclose(self) -> None:
        """Nothing more is read."""
        self._ahead.clear()
        await self._inner.aclose()
