"""Injected delays: a call that is held before it begins, an attempt that is held before it is sent. They only wait.

A call is held at most as long as it has; an attempt is cut as if it waited for its endpoint.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meshware.core.outcome import Outcome
from meshware.outbound.race import cut_of
from meshware.outbound.reaper import reaper

if TYPE_CHECKING:
    from meshware.core.call import Attempt, Call

SLICE = 0.02
"""Seconds after which a thread that waits looks whether it still should."""


def hold(call: Call, seconds: float) -> float:
    """Wait before the call begins; when its time began to run."""
    began = time.monotonic()
    time.sleep(max(0.0, min(seconds, call.patience(began))))
    return began


async def hold_async(call: Call, seconds: float) -> float:
    """The same on a loop."""
    import asyncio

    began = time.monotonic()
    await asyncio.sleep(max(0.0, min(seconds, call.patience(began))))
    return began


def late(call: Call, attempt: Attempt, seconds: float) -> Outcome | None:
    """Wait before the attempt is sent; what became of it when it was cut meanwhile."""
    began = now = time.monotonic()
    cut = cut_of(call, attempt)
    reaper().watch(cut)
    try:
        while not cut.fired and now < began + seconds:
            time.sleep(min(SLICE, began + seconds - now))
            now = time.monotonic()
    finally:
        whole = cut.release()
    if whole:
        return None
    return Outcome(elapsed=now - began, cause=cut.cause(begun=True))


async def late_async(call: Call, attempt: Attempt, seconds: float) -> Outcome | None:
    """The same on a loop."""
    import asyncio

    from meshware.outbound.scopes import Limit

    began, limit = time.monotonic(), Limit(call, attempt)
    try:
        async with limit:
            await asyncio.sleep(seconds)
    except TimeoutError as error:
        return Outcome(elapsed=time.monotonic() - began, cause=limit.cause(begun=True), error=error)
    return None
