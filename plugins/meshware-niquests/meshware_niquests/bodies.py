"""An answer's body: its end told to the call once, whether it was read, broken, closed or forgotten."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from urllib3 import AsyncHTTPResponse, HTTPResponse

from meshware.core.call import Attempt, Call
from meshware.core.outcome import Ending, Outcome
from meshware.outbound.reaper import Cut, reaper


class Following:
    """Tells a call how its answer's body ended. Its `end` may run in a finalizer."""

    def __init__(self, call: Call, attempt: Attempt, outcome: Outcome, late: Callable[[], Exception]) -> None:
        self._call, self._attempt, self._elapsed = call, attempt, outcome.elapsed
        self._over = False
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
            self._call.ended(self._attempt, ending, self._elapsed + self.reading, time.monotonic())

    def read(self, raw: Any, began: float) -> None:
        """A read has returned."""
        self.reading += time.monotonic() - began
        if whole(raw):
            self.end(Ending.COMPLETE)

    def broke(self, error: Exception) -> Exception:
        """A read has failed; gives what to raise."""
        late = isinstance(error, TimeoutError) or (self.cut is not None and self.cut.fired)
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
    elif kind is MeshedResponse and following.at is not None and raw.version < 20:  # others share their connection
        following.cut = Cut(following.at)
        following.cut.attach(raw._connection.sock)
        reaper().watch(following.cut)


class MeshedResponse(HTTPResponse):  # type: ignore[misc]
    """urllib3's response; every way to read it goes through `_error_catcher`."""

    @contextmanager
    def _error_catcher(self) -> Iterator[None]:
        began = time.monotonic()
        try:
            with super()._error_catcher():
                yield
        except Exception as error:
            raise self._following.broke(error) from error
        self._following.read(self, began)

    def close(self) -> None:
        """As urllib3's."""
        self._following.closed(self)
        super().close()


class AsyncMeshedResponse(AsyncHTTPResponse):  # type: ignore[misc]
    """The same, async."""

    @asynccontextmanager
    async def _error_catcher(self) -> AsyncIterator[None]:
        began = time.monotonic()
        try:
            at = self._following.at
            async with asyncio.timeout(None if at is None else at - began), super()._error_catcher():
                yield
        except Exception as error:
            raise self._following.broke(error) from error
        self._following.read(self, began)

    async def close(self) -> None:
        """As urllib3's."""
        self._following.closed(self)
        await super().close()
