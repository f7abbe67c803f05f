"""What ends an async attempt, its connecting, or its call early: its time, and the leaving of whom it is for."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from meshware.core.outcome import Cause
from meshware.outbound.heartbeat import heart
from meshware.outbound.race import alarm, due

if TYPE_CHECKING:
    from meshware.context import RequestContext
    from meshware.core.call import Attempt, Call


class _Alarm:
    """`asyncio.timeout` whose time is looked at again when it has come."""

    def __init__(self, at: float) -> None:
        self._at = at

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._scope = asyncio.timeout(None)
        self._timer = self._loop.call_later(self._at - time.monotonic(), self._due)
        await self._scope.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        self._timer.cancel()
        await self._scope.__aexit__(*error)

    def _later(self, now: float) -> float:
        """Until when to go on; `now` for no longer."""
        raise NotImplementedError

    def _due(self) -> None:
        now = time.monotonic()
        later = self._later(now)
        if later <= now:
            self._end()
        else:
            self._timer = self._loop.call_later(later - now, self._due)

    def _end(self) -> None:
        if not self._scope.expired():  # it may be ending already, and take a while
            self._scope.reschedule(self._loop.time())


class Limit(_Alarm):
    """Ends an attempt at its deadline, unless the call puts it off, or once it has lost to another."""

    def __init__(self, call: Call, attempt: Attempt) -> None:
        super().__init__(alarm(attempt))
        self._call, self._attempt = call, attempt
        self._lost = False

    async def __aenter__(self) -> None:
        await super().__aenter__()
        self._attempt.cancel = self
        if self._call.decided:  # whoever decided it has cut what he found, and not this
            self.lose()

    async def __aexit__(self, *error: Any) -> None:
        self._attempt.cancel = None
        await super().__aexit__(*error)

    def lose(self) -> None:
        """Another attempt has made this one useless."""
        if not self._scope.expired():
            self._lost = True
            self._end()

    def cause(self, *, begun: bool) -> Cause:
        """Why what it has ended has no answer; `begun`: it had got as far as the endpoint."""
        if self._lost:
            return Cause.CUT
        return Cause.TIMEOUT if begun else Cause.LOCAL

    def _later(self, now: float) -> float:
        return due(self._call, self._attempt, now)


class Patience(_Alarm):
    """So many seconds, those not counted for which the loop stood still: what was there then, nobody could see."""

    def __init__(self, seconds: float) -> None:
        self._began = time.monotonic()
        super().__init__(self._began + seconds)

    def _later(self, now: float) -> float:
        return self._at + heart().lateness.since(self._began, now)


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
