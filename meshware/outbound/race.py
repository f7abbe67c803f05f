"""A hedge beside the first attempt: sent when that is late; whichever answers well first is delivered.

It rides on the alarm that each attempt has for its deadline. On a loop it is a task, else a thread, of which there are
few at a time; the first attempt stays where it is. What is decided is the call's to say: here it is only carried out.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from queue import SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING

from meshware.core.attempt import Attempt, Deliver, Lost, Step, Wait
from meshware.core.outcome import Ending, Outcome
from meshware.outbound.reaper import Cut

if TYPE_CHECKING:
    from asyncio import Task

    from meshware.core.call import Call

Clock = Callable[[], float]

THREADS = 16
"""Hedges that may be out at once on threads of a process: what is beyond goes without."""

_room = BoundedSemaphore(THREADS)

Turn = tuple[Attempt, Outcome, Step]
"""An attempt, what became of it, and what follows from that."""


def alarm(attempt: Attempt) -> float:
    """When to look at an attempt that has no answer yet."""
    due = attempt.hedge_at
    return attempt.deadline if due is None or attempt.begin_hedge is None else min(due, attempt.deadline)


def due(call: Call, attempt: Attempt, now: float) -> float:
    """Asked at the alarm: until when the attempt may go on; `now` to cut it. Begins the hedge at its time."""
    begin = attempt.begin_hedge
    if begin is not None and attempt.hedge_at is not None and now >= attempt.hedge_at:
        begin()
        if now >= attempt.hedge_at:
            attempt.begin_hedge = None
    upcoming = alarm(attempt)
    return upcoming if now < upcoming else call.overdue(attempt, now)


def cut_of(call: Call, attempt: Attempt) -> Cut:
    """The right to cut an attempt whose socket can be reached; its alarm is the attempt's.

    Whoever decides the call cuts what he finds, so one that is late for that has lost already.
    """
    cut = attempt.cancel = Cut(alarm(attempt), lambda now: due(call, attempt, now), until=attempt.deadline)
    if call.decided:
        cut.lose()
    return cut


class _Race:
    """What both have in common. There is one hedge at most."""

    def __init__(self, call: Call, first: Attempt, clock: Clock) -> None:
        self._call, self._clock = call, clock
        first.begin_hedge = self._begin

    def _begin(self) -> None:
        raise NotImplementedError

    def _cut(self) -> None:
        """Whatever has no answer yet is of no use any more."""
        for each in self._call.open:
            if each.cancel is not None:
                each.cancel.lose()

    def _spare(self, step: Deliver) -> Attempt | None:
        """The answer that was kept unread, and is not the one that is delivered."""
        held = self._call.held
        return None if held is step.attempt else held

    def stop(self) -> None:
        """Whoever drives the call goes away."""
        self._cut()
        if self._call.held is not None:
            self._call.ended(self._call.held, Ending.DROPPED, 0.0, self._clock())


def useless(outcome: Outcome, step: Step) -> bool:
    """Whether this is an answer that nobody will read."""
    return isinstance(step, Lost) and outcome.cause is None


class Race(_Race):
    """The first attempt on the calling thread, the hedge on one of its own."""

    def __init__(
        self,
        call: Call,
        first: Attempt,
        send: Callable[[Attempt], Outcome],
        drop: Callable[[Attempt], None],
        clock: Clock,
    ) -> None:
        super().__init__(call, first, clock)
        self._send, self._drop = send, drop
        self._context = copy_context()
        self._decided: SimpleQueue[Turn | BaseException] = SimpleQueue()

    def settle(self, attempt: Attempt, outcome: Outcome, step: Step) -> Turn:
        """What is to be done after this of the calling thread: where the hedge decides, what follows from that."""
        if self._call.alone:
            return attempt, outcome, step
        if useless(outcome, step):
            self._drop(attempt)
        if isinstance(step, Lost | Wait):
            turn = self._decided.get()
            if isinstance(turn, BaseException):
                raise turn
            attempt, outcome, step = turn
        if isinstance(step, Deliver):
            self._cut()
            spare = self._spare(step)
            if spare is not None:
                self._drop(spare)
        return attempt, outcome, step

    def _begin(self) -> None:
        """On the alarm's thread, which must not wait."""
        if not _room.acquire(blocking=False):
            return
        hedge = self._call.hedge(self._clock())
        try:
            if hedge is not None:
                Thread(target=self._context.run, args=(self._run, hedge), name="meshware-hedge", daemon=True).start()
                return
        except RuntimeError:  # no thread to be had: the first goes on alone
            assert hedge is not None
            self._call.abandon(hedge, self._clock())
        _room.release()

    def _run(self, hedge: Attempt) -> None:
        try:
            outcome = self._send(hedge)
            step = self._call.answered(hedge, outcome, self._clock())
            if useless(outcome, step):
                self._drop(hedge)
            elif not isinstance(step, Lost | Wait):
                self._decided.put((hedge, outcome, step))
                if isinstance(step, Deliver):
                    self._cut()
        except BaseException as error:  # whoever waits for it must hear of it
            self._call.abandon(hedge, self._clock())
            self._decided.put(error)
        finally:
            _room.release()


class AsyncRace(_Race):
    """The first attempt in the calling task, the hedge in one of its own on the same loop."""

    def __init__(
        self,
        call: Call,
        first: Attempt,
        send: Callable[[Attempt], Awaitable[Outcome]],
        drop: Callable[[Attempt], Awaitable[None]],
        clock: Clock,
    ) -> None:
        super().__init__(call, first, clock)
        self._send, self._drop = send, drop
        self._hedge: Task[Turn] | None = None

    async def settle(self, attempt: Attempt, outcome: Outcome, step: Step) -> Turn:
        """What is to be done after this of the calling task: where the hedge decides, what follows from that."""
        if self._call.alone:
            return attempt, outcome, step
        if useless(outcome, step):
            await self._drop(attempt)
        if isinstance(step, Lost | Wait):
            assert self._hedge is not None
            attempt, outcome, step = await self._hedge
        if isinstance(step, Deliver):
            self._cut()
            spare = self._spare(step)
            if spare is not None:
                await self._drop(spare)
        return attempt, outcome, step

    def stop(self) -> None:
        """Whoever drives the call goes away."""
        super().stop()
        if self._hedge is not None:
            self._hedge.cancel()

    def _begin(self) -> None:
        hedge = self._call.hedge(self._clock())
        if hedge is not None:
            from asyncio import get_running_loop

            self._hedge = get_running_loop().create_task(self._run(hedge), name="meshware-hedge")
            _running.add(self._hedge)
            self._hedge.add_done_callback(_over)

    async def _run(self, hedge: Attempt) -> Turn:
        try:
            outcome = await self._send(hedge)
            step = self._call.answered(hedge, outcome, self._clock())
            if useless(outcome, step):
                await self._drop(hedge)
            elif isinstance(step, Deliver):
                self._cut()
            return hedge, outcome, step
        except BaseException:
            self._call.abandon(hedge, self._clock())
            raise


_running: set[Task[Turn]] = set()
"""Hedges whose call may be over: a loop alone keeps no task alive."""


def _over(task: Task[Turn]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # heard by who waits for it, if anybody does


def _after_fork() -> None:
    """The parent's hedges did not come along, nor whoever held the semaphore's lock."""
    global _room
    _room = BoundedSemaphore(THREADS)
    _running.clear()


os.register_at_fork(after_in_child=_after_fork)
