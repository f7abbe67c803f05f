"""The two drivers, sync and async: they do what the Call says, and are the only code that sleeps or awaits.

A door hands in how to send one attempt (`send`: never raises for what the endpoint or network did, but
returns an Outcome and sets `attempt.answer`) and how to drop an answer that nobody will read (`drop`). A hedge beside
the first attempt is carried out by race.py.
Whatever else happens on the way out (cancellation, KeyboardInterrupt), the attempt is abandoned.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from meshware.core.call import Attempt, Call, Deliver, Raise, Retry
from meshware.core.outcome import Outcome
from meshware.outbound.race import AsyncRace, Race

Clock = Callable[[], float]


def drive(
    call: Call,
    send: Callable[[Attempt], Outcome],
    drop: Callable[[Attempt], None],
    *,
    since: float | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Clock = time.monotonic,
) -> Attempt:
    """Drive a call on the calling thread to the attempt whose answer is delivered; raises what the call says.

    `since`: when its time began to run, for a call that was held before.
    """
    attempt = race = None
    try:
        attempt = call.begin(clock(), since=since) if call.service.arrival is None else _awaited(call, clock, since)
        if attempt.hedge_at is not None:
            race = Race(call, attempt, send, drop, clock)
        while True:
            outcome = send(attempt)
            step = call.answered(attempt, outcome, clock())
            if race is not None:
                attempt, outcome, step = race.settle(attempt, outcome, step)
            match step:
                case Deliver(won):
                    return won
                case Retry(held, after):
                    if outcome.cause is None:
                        drop(attempt)
                    if after > 0:
                        sleep(after)
                    attempt = held
                case Raise(error):
                    raise error
                case _:
                    raise AssertionError(f"nothing else is open, yet {step!r}")
    except BaseException:  # failed, or cancelled wherever it stands: says nothing of the endpoint
        if race is not None:
            race.stop()
        call.leave(attempt, clock())
        raise


async def drive_async(
    call: Call,
    send: Callable[[Attempt], Awaitable[Outcome]],
    drop: Callable[[Attempt], Awaitable[None]],
    *,
    since: float | None = None,
    sleep: Callable[[float], Awaitable[None]] | None = None,
    clock: Clock = time.monotonic,
) -> Attempt:
    """Drive a call on the running loop; the same decisions as `drive`, since the call makes them."""
    from meshware.outbound.heartbeat import heart  # who has no loop need not have asyncio

    attempt = race = None
    beating = heart()
    try:
        beating.begin(call)
        call.lateness = beating.lateness
        arrived = call.service.arrival is None
        attempt = call.begin(clock(), since=since) if arrived else await _awaited_async(call, clock, since)
        if attempt.hedge_at is not None:
            race = AsyncRace(call, attempt, send, drop, clock)
        while True:
            outcome = await send(attempt)
            step = call.answered(attempt, outcome, clock())
            if race is not None:
                attempt, outcome, step = await race.settle(attempt, outcome, step)
            match step:
                case Deliver(won):
                    beating.end(call)
                    return won
                case Retry(held, after):
                    if outcome.cause is None:
                        await drop(attempt)
                    if after > 0:
                        await (sleep or _asleep)(after)
                    attempt = held
                case Raise(error):
                    raise error
                case _:
                    raise AssertionError(f"nothing else is open, yet {step!r}")
    except BaseException:  # failed, or cancelled wherever it stands: says nothing of the endpoint
        if race is not None:
            race.stop()
        call.leave(attempt, clock())
        beating.end(call)
        raise


def _awaited(call: Call, clock: Clock, since: float | None) -> Attempt:
    """Begin once the service's endpoints have been found for the first time; that is part of the call's time."""
    began, arrival = clock() if since is None else since, call.service.arrival
    if arrival is not None:
        arrival.wait(call.patience(began))
    return call.begin(clock(), since=began)


async def _awaited_async(call: Call, clock: Clock, since: float | None) -> Attempt:
    began, arrival = clock() if since is None else since, call.service.arrival
    if arrival is not None:
        await arrival.wait_async(call.patience(began))
    return call.begin(clock(), since=began)


async def _asleep(seconds: float) -> None:
    import asyncio

    await asyncio.sleep(seconds)
