"""Injected faults on their way into calls: what is drawn for a call and for an attempt, and the bodies that break off.

A door says how its client's errors and answers are made (`Breaking`); what happens when is the same for all.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from meshware.context import current as current_context
from meshware.core.outcome import Cause, Outcome, Verdict
from meshware.core.reply import Reply
from meshware.outbound.delays import hold, hold_async, late, late_async

if TYPE_CHECKING:
    from meshware.core.call import Attempt, Call
    from meshware.core.fault import Fault, Injection

SOURCE = "fault"
TEXT = b"an injected fault\n"
BROKEN_OFF = "an injected fault: the body breaks off"
RESET = "an injected fault: connection reset"


class Breaking(Protocol):
    """How a door does to an attempt what a fault says."""

    call: Call

    def broken(self) -> Exception:
        """The client's own error of a connection that was reset."""
        ...

    def aborted(self, attempt: Attempt, reply: Reply, elapsed: float) -> Outcome:
        """The reply as the attempt's answer."""
        ...

    def cut_short(self, attempt: Attempt, count: int, *, counts: bool) -> None:
        """Have the body of the attempt's answer break off after so many bytes."""
        ...


# Of a whole call


def into_call(call: Call) -> tuple[float | None, Fault | None]:
    """Hold the call as long as is drawn: since when its time runs (None: from now), and what is to become of it."""
    injection = _drawn(call, counts=False)
    if injection is None:
        return None, None
    since = hold(call, injection.delay) if injection.delay else None
    return since, _in_time(call, since, injection)


async def into_call_async(call: Call) -> tuple[float | None, Fault | None]:
    """The same on a loop."""
    injection = _drawn(call, counts=False)
    if injection is None:
        return None, None
    since = await hold_async(call, injection.delay) if injection.delay else None
    return since, _in_time(call, since, injection)


def _in_time(call: Call, since: float | None, injection: Injection) -> Fault | None:
    """What comes after the delay; nothing where the deadline comes first."""
    late = since is not None and call.patience(since) <= injection.delay
    return None if late else injection.end


def abort(fault: Fault | None) -> tuple[Outcome, Reply] | None:
    """The end of a call that is aborted, as a fallback judges it, and what the caller gets unless it has something."""
    if fault is None or fault.abort is None:
        return None
    outcome = Outcome(elapsed=0.0, status=fault.abort)
    outcome.verdict, outcome.injected = Verdict.FAILURE, True
    return outcome, reply_of(fault.abort)


def reply_of(status: int) -> Reply:
    """What an aborted call is answered with."""
    return Reply(status, (("content-type", "text/plain; charset=utf-8"),), TEXT, SOURCE)


# Of one attempt


def into_attempt(door: Breaking, attempt: Attempt, send: Callable[[Attempt], Outcome]) -> Outcome:
    """Send an attempt, with what is drawn for it: its endpoint seems to have done it."""
    injection = _drawn(door.call, counts=True)
    if injection is None:
        return send(attempt)
    began = time.monotonic()
    cut = late(door.call, attempt, injection.delay) if injection.delay else None
    if cut is not None:
        return _injected(cut)
    outcome = _instead(door, attempt, injection, time.monotonic() - began)
    return _after(door, attempt, injection, send(attempt)) if outcome is None else outcome


async def into_attempt_async(
    door: Breaking, attempt: Attempt, send: Callable[[Attempt], Awaitable[Outcome]]
) -> Outcome:
    """The same on a loop."""
    injection = _drawn(door.call, counts=True)
    if injection is None:
        return await send(attempt)
    began = time.monotonic()
    cut = await late_async(door.call, attempt, injection.delay) if injection.delay else None
    if cut is not None:
        return _injected(cut)
    outcome = _instead(door, attempt, injection, time.monotonic() - began)
    return _after(door, attempt, injection, await send(attempt)) if outcome is None else outcome


def _instead(door: Breaking, attempt: Attempt, injection: Injection, elapsed: float) -> Outcome | None:
    """What becomes of an attempt that is not sent; None: it is."""
    fault = injection.end
    if fault is None or fault.partial_body is not None:
        return None
    if fault.abort is not None:
        return _injected(door.aborted(attempt, reply_of(fault.abort), elapsed))
    return _injected(Outcome(elapsed=elapsed, cause=Cause.RESET, error=door.broken()))


def _after(door: Breaking, attempt: Attempt, injection: Injection, outcome: Outcome) -> Outcome:
    """What is added to an attempt that was sent."""
    if injection.delay:
        outcome.elapsed += injection.delay
    if injection.end is not None and injection.end.partial_body is not None and outcome.cause is None:
        door.cut_short(attempt, injection.end.partial_body, counts=True)
    return _injected(outcome)


def _injected(outcome: Outcome) -> Outcome:
    outcome.injected = True
    return outcome


# Of both


def _drawn(call: Call, *, counts: bool) -> Injection | None:
    """What befalls; observers are told."""
    service, context, now = call.service, current_context(), time.monotonic()
    faults = call.plan.faults
    if faults is None:  # taken back meanwhile
        return None
    ordered = None if context is None else context.fault
    injection: Injection | None = faults.draw(call.request, call.rng, now, counts=counts, ordered=ordered)
    if injection is not None:
        for watch in service.on_fault:
            watch(call, injection, now)
    return injection


class Short:
    """A client's stream, sync or async, that breaks off after so many bytes."""

    def __init__(self, inner: Any, count: int, broken: Callable[[], Exception]) -> None:
        self._inner, self._left, self._broken = inner, count, broken
        self._httpcore_stream = getattr(inner, "_httpcore_stream", None)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._inner:
            yield from self._of(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            for part in self._of(piece):
                yield part

    def _of(self, piece: bytes) -> Iterator[bytes]:
        part, self._left = piece[: self._left], self._left - len(piece)
        if part:
            yield part
        if self._left < 0:
            raise self._broken()

    def close(self) -> None:
        """Nothing more is read."""
        self._inner.close()

    async def aclose(self) -> None:
        """Nothing more is read."""
        await self._inner.aclose()
