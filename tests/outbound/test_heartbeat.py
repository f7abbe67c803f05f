"""A loop's heartbeat: it tells that its loop stood still, and rests when nobody calls."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

from meshware.outbound import heartbeat
from meshware.outbound.heartbeat import BEAT, heart
from meshware.outbound.scopes import Patience

STOOD = 0.3


def test_a_loop_that_stood_still_is_told_so():
    async def stood():
        heart().begin("a call")
        began = time.monotonic()
        await asyncio.sleep(0.001)
        time.sleep(STOOD)
        at_once = heart().lateness.since(began, time.monotonic())
        await asyncio.sleep(0)
        after = heart().lateness.since(began, time.monotonic())
        heart().end("a call")
        return at_once, after

    for told in asyncio.run(stood()):
        assert STOOD - BEAT - 0.01 <= told <= STOOD + 0.2


def test_a_heart_beats_while_calls_are_driven_and_rests_a_while_after(monkeypatch):
    monkeypatch.setattr(heartbeat, "REST", 0.1)

    async def due():
        heart().begin("a call")
        await asyncio.sleep(0.3)
        beating = heart().lateness.overdue_at
        heart().end("a call")
        await asyncio.sleep(0.3)
        return beating, heart().lateness.overdue_at

    beating, resting = asyncio.run(due())
    assert beating < float("inf")
    assert resting == float("inf")


def test_a_loop_that_is_gone_is_not_kept():
    async def beat():
        heart().begin("a call")
        heart().end("a call")
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(beat())
    gc.collect()
    assert loop() is None


def test_patience_ends_in_time():
    async def waited():
        began = time.monotonic()
        try:
            async with Patience(0.05):
                await asyncio.sleep(5)
        except TimeoutError:
            return time.monotonic() - began

    assert 0.05 <= asyncio.run(waited()) < 2


def test_patience_does_not_count_for_how_long_the_loop_stood_still():
    async def connected():
        heart().begin("a call")
        there = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(STOOD + 0.05, there.set_result, "there")
        try:
            async with Patience(STOOD / 2):
                await asyncio.sleep(0.001)
                time.sleep(STOOD)
                return await there
        finally:
            heart().end("a call")

    assert asyncio.run(connected()) == "there"
