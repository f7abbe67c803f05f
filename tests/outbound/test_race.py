"""Hedges: how many may be out on threads, what a fork leaves of them, and those that begin too late."""

from __future__ import annotations

import asyncio
import os
import time

import pytest
from core.policies import hedged_world

from meshware.core.lateness import Lateness
from meshware.core.outcome import Cause
from meshware.outbound import race
from meshware.outbound.scopes import Limit


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # with threads, from 3.12 on
def test_a_forked_child_has_room_for_all_its_hedges_whatever_was_out_in_the_parent():
    for _ in range(race.THREADS):
        assert race._room.acquire(blocking=False)
    with race._room._cond:  # as if another thread were just at it
        child = os.fork()
        if child == 0:
            free = sum(race._room.acquire(blocking=False) for _ in range(race.THREADS))
            os._exit(0 if free == race.THREADS else 1)
    _, status = os.waitpid(child, 0)
    for _ in range(race.THREADS):
        race._room.release()
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_hedge_that_we_stood_still_before_is_begun_later():
    world = hedged_world()
    world.service.lateness = Lateness()
    call = world.call()
    first = call.begin(world.now)
    at, begun = first.hedge_at, []
    first.begin_hedge = lambda: begun.append(call.hedge(at))
    world.service.lateness.expect(first.began)
    world.service.lateness.beat(at)
    later = race.due(call, first, at)
    assert begun == [None]
    assert later == first.hedge_at == pytest.approx(2 * at - first.began)
    first.begin_hedge = lambda: begun.append(call.hedge(later))
    race.due(call, first, later)
    assert begun[1].hedge
    race.due(call, first, later + 0.01)
    assert len(begun) == 2


def too_late():
    """A hedge that is about to be sent when the first attempt has been delivered."""
    world = hedged_world()
    world.now = time.monotonic()
    call = world.call()
    first = call.begin(world.now)
    hedge = call.hedge(first.hedge_at)
    world.answer(call, first)
    assert call.decided
    return call, hedge


def test_one_that_is_sent_after_the_call_was_decided_is_cut_at_once():
    cut = race.cut_of(*too_late())
    assert cut.fired
    assert cut.cause(begun=True) is Cause.CUT


def test_one_whose_turn_on_the_loop_comes_after_that_ends_at_once():
    call, hedge = too_late()

    async def sent():
        limit = Limit(call, hedge)
        with pytest.raises(TimeoutError):
            async with limit:
                await asyncio.sleep(60)
        return limit.cause(begun=True)

    assert asyncio.run(sent()) is Cause.CUT
