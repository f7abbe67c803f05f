"""The first answer: threads and tasks wait for it, at most so long, and no event loop stands still."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from meshware.discovery.arrival import FirstAnswer

PATIENCE = 5.0


def test_a_thread_waits_until_it_has_come():
    arrival = FirstAnswer()
    threading.Timer(0.02, arrival.come).start()
    began = time.monotonic()
    arrival.wait(PATIENCE)
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("seconds", [0.01, 0.0, -1.0])
def test_nobody_waits_longer_than_he_may(seconds):
    arrival = FirstAnswer()
    arrival.wait(seconds)
    asyncio.run(arrival.wait_async(seconds))


def test_tasks_wait_while_their_loop_runs_on():
    async def main():
        arrival = FirstAnswer()
        tasks = [asyncio.create_task(arrival.wait_async(PATIENCE)) for _ in range(3)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in tasks)
        threading.Thread(target=arrival.come).start()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)
        await arrival.wait_async(PATIENCE)

    asyncio.run(main())


def test_a_task_that_is_cancelled_while_it_waits_is_cancelled():
    async def main():
        arrival = FirstAnswer()
        task = asyncio.create_task(arrival.wait_async(PATIENCE))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        arrival.come()

    asyncio.run(main())


def test_a_loop_that_is_closed_disturbs_nobody():
    arrival, gone = FirstAnswer(), asyncio.new_event_loop()
    waiting = arrival.wait_async(PATIENCE)
    task = gone.create_task(waiting)
    gone.run_until_complete(asyncio.sleep(0))
    gone.close()
    arrival.come()
    arrival.wait(PATIENCE)
    task._log_destroy_pending = False
    waiting.close()
