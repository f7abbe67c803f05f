"""Async calls cancelled at random moments: the pool stays whole, nothing stays in flight, nothing is swallowed."""

from __future__ import annotations

import asyncio
import gc
import random
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest
from faults.upstream import in_flight

URL = "http://inventory/"
PLACES = 10


async def answering(reader, writer):
    """A server that takes its time between any two bytes."""
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(random.random() * 0.01)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
            await asyncio.sleep(random.random() * 0.004)
            writer.write(b"ok")
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # its caller was cancelled
    finally:
        writer.close()
        with suppress(ConnectionError):  # else asyncio may say of a broken one that nobody asked
            await writer.wait_closed()


class Storm:
    """So many calls by twenty tasks through one client with ten places, most of them given up."""

    def __init__(self, client):
        self.client = client
        self.seen = dict.fromkeys(("answered", "cancelled"), 0)
        self.left = 0

    async def blow(self, calls):
        self.left = calls
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(self.work())

    async def work(self):
        while self.left > 0:
            self.left -= 1
            try:
                async with asyncio.timeout(random.choice([random.uniform(0.0, 0.03), 10.0])):
                    assert (await self.client.get(URL)).text == "ok"
                self.seen["answered"] += 1
            except TimeoutError:
                self.seen["cancelled"] += 1


def memory():
    """Bytes of memory that this process has."""
    gc.collect()
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.untraced
@pytest.mark.parametrize("calls", [1_000, pytest.param(100_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("name", ["httpx2", "httpx"])
def test_a_storm_of_cancellations_leaves_the_pool_whole(mesh_of, name, calls):
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")

    async def main():
        trouble = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: trouble.append(context))
        server = await asyncio.start_server(answering, "127.0.0.1", 0)
        mesh = mesh_of(inventory=["{}:{}".format(*server.sockets[0].getsockname())])
        inner = library.AsyncHTTPTransport(limits=library.Limits(max_connections=PLACES))
        async with server, library.AsyncClient(transport=door.AsyncMeshTransport(mesh, transport=inner)) as client:
            storm = Storm(client)
            await storm.blow(500)
            before = memory()
            await storm.blow(calls)
            assert in_flight(mesh) == 0
            assert min(storm.seen.values()) > calls / 20
            async with asyncio.timeout(30):  # each place is still there, all at once
                answers = await asyncio.gather(*(client.get(URL) for _ in range(PLACES)))
            assert [each.text for each in answers] == ["ok"] * PLACES
            assert memory() - before <= 10 * 2**20
        gc.collect()
        assert trouble == []

    asyncio.run(main())


@pytest.mark.parametrize("name", ["httpx2", "httpx"])
@pytest.mark.parametrize("path", ["ok", "status/503", "drip-body"])
def test_cancelled_at_each_step_of_the_loop_in_turn(mesh_of, upstreams, name, path):
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")
    mesh = mesh_of({"circuit": {"enabled": False}, "ejection": {"enabled": False}}, inventory=upstreams)

    async def cancelled_after(client, steps):
        """Whether the call was over before so many steps of its task."""
        task = asyncio.ensure_future(client.get(f"http://inventory/{path}"))
        for _ in range(steps):
            await asyncio.sleep(0.001 if steps > 20 else 0)
            if task.done():
                task.result()
                return True
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return False

    async def main():
        inner = library.AsyncHTTPTransport(limits=library.Limits(max_connections=2))
        async with library.AsyncClient(transport=door.AsyncMeshTransport(mesh, transport=inner)) as client:
            for steps in range(60):
                if await cancelled_after(client, steps):
                    break
                assert in_flight(mesh) == 0
            async with asyncio.timeout(10):
                for _ in range(6):
                    assert (await client.get("http://inventory/ok")).text == "ok"

    asyncio.run(main())


@pytest.mark.parametrize("name", ["httpx2", "httpx"])
def test_the_inner_of_two_nested_timeouts_is_the_one_that_ends_it(mesh_of, upstream, name):
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")
    mesh = mesh_of(inventory=[upstream])

    async def main():
        async with library.AsyncClient(transport=door.AsyncMeshTransport(mesh)) as client:
            with pytest.raises(library.ReadTimeout, match="deadline"):
                async with asyncio.timeout(5) as outer:
                    await client.get("http://inventory/hole", timeout=0.2)
            assert not outer.expired()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5) as outer, asyncio.timeout(0.2) as middle:
                    await client.get("http://inventory/hole", timeout=4)
            assert middle.expired()
            assert not outer.expired()
            assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())
    assert in_flight(mesh) == 0
