"""An answer's body as the client reads it: bounded by the deadline, its end told once, whatever the end is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from meshware.context import current as current_context
from meshware.core.outcome import BROKEN, COMPLETE, DROPPED, Ending, Outcome
from meshware.outbound.exchange import STALL
from meshware.outbound.httpx_looks import AsyncAhead, SyncAhead
from meshware.outbound.httpx_pools import closed
from meshware.outbound.httpx_wire import Wire
from meshware.outbound.looks import Look
from meshware.outbound.scopes import Wanted

if TYPE_CHECKING:
    from meshware.core.call import Attempt, Call
    from meshware.outbound.mirrors import Reader


class Following:
    """Follows one answer's body to its end, and tells the call once. Its methods may run in a finalizer."""

    __slots__ = ("at", "attempt", "call", "reader", "late", "outcome", "over", "reading")

    def __init__(self, call: Call, attempt: Attempt, outcome: Outcome, late: Callable[[], Exception]) -> None:
        deadline = call.deadline
        self.call, self.attempt, self.outcome, self.late = call, attempt, outcome, late
        self.at = deadline.at if deadline.chosen and outcome.status != 101 else None
        self.reading = 0.0
        self.over = False
        self.reader: Reader | None = None

    def end(self, ending: Ending) -> None:
        """The body has ended so; only the first time counts."""
        if not self.over:
            self.over = True
            now = time.monotonic()
            self.call.ended(self.attempt, ending, self.outcome.elapsed + self.reading, now)
            if self.reader is not None and ending is COMPLETE:
                self.reader.whole(now)


class SyncBody:
    """An answer's body as the client reads it; mixed with the client's own SyncByteStream."""

    _broken = False
    """Whether what was read ahead ends in an error: that is the reader's next."""

    def __init__(self, inner: Any, following: Following, wire: Wire, left: Any) -> None:
        self.inner, self.following, self._wire, self._left = inner, following, wire, left

    def look(self, look: Look, until: float) -> None:
        """Read ahead what is to be looked at; whoever reads the body gets it all the same."""
        began = time.monotonic()
        self.inner = ahead = SyncAhead(self.inner)
        try:
            ahead.look(look, until)
        finally:
            self._broken = ahead.error is not None
            self.following.reading += time.monotonic() - began

    def __iter__(self) -> Iterator[bytes]:
        following, pieces = self.following, iter(self.inner)
        while True:
            began = time.monotonic()
            try:
                piece = next(pieces, None)
            except BaseException as error:
                self._broke(error, began)
                raise
            following.reading += time.monotonic() - began
            if piece is None:
                following.end(COMPLETE)
                return
            if following.reader is not None:
                following.reader.add(piece)
            yield piece
            if following.at is not None and time.monotonic() >= following.at and not self._broken:
                # no cut ends a shared connection
                following.end(DROPPED)
                raise following.late()

    def _broke(self, error: BaseException, began: float) -> None:
        following, now = self.following, time.monotonic()
        following.reading += now - began
        late = self._wire.fired or (following.at is not None and now >= following.at)
        if not late:
            following.end(BROKEN if isinstance(error, Exception) else DROPPED)
            return
        following.end(BROKEN if now - self._wire.last > STALL else DROPPED)
        raise following.late() from error

    def close(self) -> None:
        """Nothing more is read. The right to cut is given back before httpcore has the connection."""
        self._wire.release()
        self.following.end(DROPPED)
        self._left = None
        self.inner.close()

    def __del__(self) -> None:
        following, left = getattr(self, "following", None), getattr(self, "_left", None)
        if following is not None and left is not None:
            self._wire.release()
            following.end(DROPPED)
            left.append(self.inner)


class AsyncBody:
    """An answer's body as the client reads it; mixed with the client's own AsyncByteStream."""

    def __init__(self, inner: Any, following: Following, wire: Wire, left: Any) -> None:
        self.inner, self.following, self._left = inner, following, left

    async def look(self, look: Look, until: float) -> None:
        """Read ahead what is to be looked at; whoever reads the body gets it all the same."""
        following, began = self.following, time.monotonic()
        self.inner = ahead = AsyncAhead(self.inner)
        try:
            await ahead.look(look, until, None if following.at is None else following.late())
        except BaseException:  # cancelled: there is no answer yet, so its end says nothing
            following.over, self._left = True, None
            await closed(ahead)
            raise
        finally:
            following.reading += time.monotonic() - began

    async def __aiter__(self) -> AsyncIterator[bytes]:
        following, pieces = self.following, self.inner.__aiter__()
        try:
            while True:
                began = time.monotonic()
                try:
                    async with Wanted(current_context()):
                        piece = await self._next(pieces, began)
                except StopAsyncIteration:
                    following.end(COMPLETE)
                    return
                finally:
                    following.reading += time.monotonic() - began
                if following.reader is not None:
                    following.reader.add(piece)
                yield piece
        finally:
            if hasattr(pieces, "aclose"):  # a user's own stream may have an iterator that is no generator
                await pieces.aclose()  # here and now, not when somebody collects it

    async def _next(self, pieces: Any, now: float) -> bytes:
        following = self.following
        try:
            if following.at is None:
                return bytes(await anext(pieces))
            async with asyncio.timeout(following.at - now):
                return bytes(await anext(pieces))
        except StopAsyncIteration:
            raise
        except TimeoutError as error:
            following.end(BROKEN if time.monotonic() - now > STALL else DROPPED)
            raise following.late() from error
        except Exception:
            following.end(BROKEN)
            raise

    async def aclose(self) -> None:
        """Nothing more is read."""
        self.following.end(DROPPED)
        self._left = None
        await closed(self.inner)

    def __del__(self) -> None:
        following, left = getattr(self, "following", None), getattr(self, "_left", None)
        if following is not None and left is not None:
            following.end(DROPPED)
            left.append(self.inner)


@cache
def body_class(module: Any, kind: str) -> Any:
    """A watched body that is also the client's own kind of stream."""
    mixin = {"Sync": SyncBody, "Async": AsyncBody}[kind]
    return type(f"Mesh{kind}Body", (mixin, getattr(module, f"{kind}ByteStream")), {})
