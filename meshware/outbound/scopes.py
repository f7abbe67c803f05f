"""What ends an async attempt or call early: its time, and the leaving of whom it is made for."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from meshware.core.outcome import Cause
from meshware.outbound.race import alarm, due

if TYPE_CHECKING:
    from meshware.context import RequestContext
    from meshware.core.call import Attempt, Call


class Limit:
    """`asyncio.timeout` at the call's deadline, and before that at the attempt's, unless the call puts it off.

    It is what the attempt is cancelled by when it has lost to another.
    """

    def __init__(self, call: Call, attempt: Attempt) -> None:
        self._call, self._attempt = call, attempt
        self._timer: asyncio.TimerHandle | None = None
        self._lost = False

    async def __aenter__(self) -> None:
        now, self._loop = time.monotonic(), asyncio.get_running_loop()
        self._scope = asyncio.timeout(self._call.deadline.at - now)
        first = alarm(self._attempt)
        if first < self._call.deadline.at:
            self._timer = self._loop.call_later(first - now, self._due)
        await self._scope.__aenter__()
        self._attempt.cancel = self

    async def __aexit__(self, *error: Any) -> None:
        self._attempt.cancel = None
        if self._timer is not None:
            self._timer.cancel()
        await self._scope.__aexit__(*error)

    def lose(self) -> None:
        """Another attempt has made this one useless."""
        if not self._scope.expired():
            self._lost = True
            self._scope.reschedule(self._loop.time())

    def cause(self, *, begun: bool) -> Cause:
        """Why what it has ended has no answer; `begun`: it had got as far as the endpoint."""
        if self._lost:
            return Cause.CUT
        return Cause.TIMEOUT if begun else Cause.LOCAL

    def _due(self) -> None:
        now = time.monotonic()
        later = due(self._call, self._attempt, now)
        if self._scope.expired() or later >= self._call.deadline.at:
            return
        if later <= now:
            self._scope.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_later(later - now, self._due)


class Wanted:
    """Cancels the call that it covers when the inbound caller leaves before he has his answer.

    It takes its own cancel back, so that an app that catches it can go on.
    """

    def __init__(self, context: RequestContext | None) -> None:
        self._context = context
        self._left = self._over = False

    async def __aenter__(self) -> None:
        self._undo = None
        if self._context is not None:
            self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
            self._undo = self._context.on_cancel(self._heard)

    async def __aexit__(self, *_error: object) -> None:
        self._over = True
        if self._undo is not None:
            self._undo()
        if self._left and self._task is not None:
            self._task.uncancel()

    def _heard(self) -> None:
        with suppress(RuntimeError):  # the loop is closed: nothing runs there any more
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        if not self._over and self._task is not None:
            self._left = True
            self._task.cancel()
