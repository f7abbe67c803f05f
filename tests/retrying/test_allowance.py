"""One allowance for all that is called for one inbound request, however many threads or tasks call."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from world import World

from meshware.context import ALLOWANCE, RequestContext
from meshware.core.call import Retry

CALLS = 40


def rich_world():
    return World(
        3, retry={"budget": {"minimum": 1000}}, guard=1.0, ejection={"enabled": False}, circuit={"enabled": False}
    )


def is_retried(world, context):
    call = world.call(context=context)
    return isinstance(world.answer(call, call.begin(world.now), 503, after=0.0), Retry)


def test_threads_share_it():
    world, context = rich_world(), RequestContext()
    with ThreadPoolExecutor(8) as pool:
        retried = list(pool.map(lambda _: is_retried(world, context), range(CALLS)))
    assert sum(retried) == ALLOWANCE
    assert world.tokens == 1000 - ALLOWANCE


def test_tasks_share_it():
    world, context = rich_world(), RequestContext()

    async def one():
        await asyncio.sleep(0)
        return is_retried(world, context)

    async def all_of_them():
        return await asyncio.gather(*(one() for _ in range(CALLS)))

    assert sum(asyncio.run(all_of_them())) == ALLOWANCE
    assert world.tokens == 1000 - ALLOWANCE


def test_each_request_has_its_own():
    world = rich_world()
    assert all(is_retried(world, RequestContext()) for _ in range(CALLS))
