"""An answer's body: its end told to the call once, whether it was read, broken, closed or forgotten.

Its deadline is kept by the reaper where the connection is its own (sync HTTP/1). Where others share it, no read waits
beyond it, the clock is looked at after each, and only the late one's stream is given up.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from math import inf
from typing import Any

from urllib3 import AsyncHTTPResponse, HTTPResponse

from meshware.core.call import Attempt, Call
from meshware.core.outcome import Ending, Outcome
from meshware.outbound.exchange import LEAST
from meshware.outbound.reaper import Cut, reaper

PIECE = 2**16
"""Bytes asked for at once where all are wanted, and the clock is to be looked at in between."""


class Following:
    """Tells a call how its answer's body ended. Its `end` may run in a finalizer.

    `pause`: seconds that a read may wait for a byte, the deadline apart; inf: for ever.
    """

    def __init__(
        self, call: Call, attempt: Attempt, outcome: Outcome, late: Callable[[], Exception], *, pause: float
    ) -> None:
        self._call, self._attempt, self._outcome = call, attempt, outcome
        self._over = False
        self._pause = pause
        self.late = late
        self.reading = 0.0
        self.at = call.deadline.at if call.deadline.chosen and outcome.status != 101 else None
        self.cut: Cut | None = None

    def end(self, ending: Ending) -> None:
        """The body has ended so; only the first time counts."""
        if self.cut is not None:
            self.cut.release()
        if not self._over:
            self._over = True
            self._call.ended(self._attempt, ending, self._outcome.elapsed + self.reading, time.monotonic())

    def bound(self, raw: Any) -> None:
        """The next read waits for a byte no longer than it may: niquests leaves what was left when the headers came."""
        sock = None if raw._connection is None else raw._connection.sock
        if sock is not None:
            left = inf if self.at is None else max(LEAST, self.at - time.monotonic())
            wait = min(left, self._pause)
            sock.settimeout(wait if wait < inf else None)

    @property
    def unwatched(self) -> bool:
        """Whether there is a deadline that no cut will keep."""
        return self.at is not None and self.cut is None

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed and bytes are still to come."""
        return not self._over and self.at is not None and time.monotonic() >= self.at

    @contextmanager
    def spared(self) -> Iterator[None]:
        """The deadline is no error to urllib3, which would close a connection that others share."""
        try:
            yield
        except TimeoutError:
            if not self.overdue:
                raise

    def read(self, raw: Any, began: float) -> None:
        """A read has returned."""
        self.reading += time.monotonic() - began
        if whole(raw):
            self.end(Ending.COMPLETE)

    def broke(self, error: Exception) -> Exception:
        """A read has failed; gives what to raise."""
        late = self.overdue or (self.cut is not None and self.cut.fired)
        self.end(Ending.DROPPED if late else Ending.BROKEN)
        return self.late() if late else error

    def closed(self, raw: Any) -> None:
        """Nothing more is read."""
        self.end(Ending.COMPLETE if whole(raw) else Ending.DROPPED)


def whole(raw: Any) -> bool:
    """Whether the last byte has come."""
    return raw._fp is None or bool(getattr(raw._fp, "_eot", False))


def follow(raw: Any, following: Following) -> None:
    """Watch this answer from now on."""
    kind = MeshedResponse if type(raw) is HTTPResponse else AsyncMeshedResponse
    raw.__class__ = kind
    raw._following = following
    weakref.finalize(raw, following.end, Ending.DROPPED).atexit = False
    if whole(raw):
        following.end(Ending.COMPLETE)
    elif raw.version < 20:  # others share their connection
        following.bound(raw)
        if kind is MeshedResponse and following.at is not None:
            following.cut = Cut(following.at)
            following.cut.attach(raw._connection.sock)
            reaper().watch(following.cut)


class MeshedResponse(HTTPResponse):  # type: ignore[misc]
    """urllib3's response; every way to read it goes through `_error_catcher`."""

    @contextmanager
    def _error_catcher(self) -> Iterator[None]:
        began, following = time.monotonic(), self._following
        try:
            with super()._error_catcher(), following.spared():
                following.bound(self)
                yield
        except Exception as error:
            raise following.broke(error) from error
        following.read(self, began)
        if following.overdue:
            self.close()
            raise following.late()

    def _raw_read(self, amt: int | None = None, *, read1: bool = False) -> Any:
        """As urllib3's, which waits for all of it; in single reads where the clock must be looked at in between."""
        if read1 or not self._following.unwatched or (amt is not None and amt < 0):
            return super()._raw_read(amt, read1=read1)
        pieces: list[bytes] = []
        while amt is None or amt > 0:
            piece = super()._raw_read(amt or PIECE, read1=True)
            if not piece:
                break
            pieces.append(piece)
            amt = None if amt is None else amt - len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """As urllib3's."""
        self._following.closed(self)
        super().close()


class AsyncMeshedResponse(AsyncHTTPResponse):  # type: ignore[misc]
    """The same, async."""

    @asynccontextmanager
    async def _error_catcher(self) -> AsyncIterator[None]:
        began, following = time.monotonic(), self._following
        limit = None if following.at is None else following.at - began
        try:
            async with super()._error_catcher():
                with following.spared():
                    async with asyncio.timeout(limit):
                        following.bound(self)
                        yield
        except Exception as error:
            raise following.broke(error) from error
        following.read(self, began)
        if following.overdue:
            await self.close()
            raise following.late()

    async def close(self) -> None:
        """As urllib3's."""
        self._following.closed(self)
        await super().close()
