"""An inbound caller who leaves cancels the async calls made for him, and those only."""

from __future__ import annotations

import asyncio
import threading
from importlib import import_module

import pytest
from faults.upstream import in_flight

from meshware.context import Caller, RequestContext, enter, leave

URL = "http://inventory"


@pytest.fixture
def mesh(mesh_of, upstream):
    return mesh_of(inventory=[upstream])


@pytest.fixture(params=["httpx2", "httpx"])
def served(request, mesh):
    """`served(view)`: run it as a door in would, with a client and with who waits for the answer."""
    library, door = import_module(request.param), import_module(f"meshware.outbound.{request.param}")

    def serve(view):
        async def main():
            caller = Caller()
            token = enter(RequestContext(mesh=mesh, caller=caller))
            try:
                async with library.AsyncClient(transport=door.AsyncMeshTransport()) as client:
                    return await view(client, caller)
            finally:
                leave(token)

        found = asyncio.run(main())
        assert in_flight(mesh) == 0
        return found

    return serve


@pytest.mark.parametrize("leaving", ["here", "on another thread"])
def test_his_leaving_cancels_the_call_under_way(served, upstream, leaving):
    async def view(client, caller):
        loop = asyncio.get_running_loop()
        if leaving == "here":
            loop.call_later(0.05, caller.leave)
        else:
            threading.Timer(0.05, caller.leave).start()
        with pytest.raises(asyncio.CancelledError):
            await client.get(f"{URL}/hole", timeout=20)
        assert asyncio.current_task().cancelling() == 0
        return (await client.get(f"{URL}/ok")).text  # the app goes on as it likes

    assert served(view) == "ok"
    assert upstream.let_go_within(2.0)


def test_if_he_has_left_the_next_call_is_cancelled_once(served):
    async def view(client, caller):
        caller.leave()
        with pytest.raises(asyncio.CancelledError):
            await client.get(f"{URL}/hole", timeout=20)
        return (await client.get(f"{URL}/ok")).text

    assert served(view) == "ok"


def test_a_call_that_is_over_does_not_hear_of_it(served):
    async def view(client, caller):
        text = (await client.get(f"{URL}/ok")).text
        caller.leave(told=True)
        await asyncio.sleep(0.02)
        return text

    assert served(view) == "ok"


def test_a_cancellation_from_outside_stays_one(served):
    async def view(client, caller):
        task = asyncio.current_task()
        asyncio.get_running_loop().call_later(0.05, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await client.get(f"{URL}/hole", timeout=20)
        assert task.uncancel() == 0

    served(view)
