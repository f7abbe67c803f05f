"""Who waits for a place in his client's own pool waits for no endpoint: only what comes after that is its time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module

import pytest

from meshware.core.lateness import Lateness

SLEEP = 0.2
CALLS = 4
URL = f"http://inventory/sleep/{SLEEP}"


class Times:
    """What each answer took, as the endpoint is judged by it."""

    def __init__(self):
        self.seen = []

    def on_answer(self, call, attempt, outcome, step, now):
        self.seen.append(outcome.elapsed)


@pytest.fixture(autouse=True)
def _awake(monkeypatch):
    """What this process stands still would be taken off."""
    monkeypatch.setattr(Lateness, "since", lambda *_: 0.0)


@pytest.fixture
def timed(heard, upstream):
    """A mesh, and what hears its times."""
    return heard(Times(), endpoints=[upstream.address])


@pytest.mark.parametrize("name", ["httpx2", "httpx"])
def test_on_threads(timed, name):
    mesh, times = timed
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")
    inner = library.HTTPTransport(limits=library.Limits(max_connections=1))
    with library.Client(transport=door.MeshTransport(mesh, transport=inner)) as client, ThreadPoolExecutor() as pool:
        assert {each.text for each in pool.map(lambda _: client.get(URL), range(CALLS))} == {"ok"}
    assert all(SLEEP <= each < 2 * SLEEP for each in times.seen)


@pytest.mark.parametrize("name", ["httpx2", "httpx"])
def test_on_a_loop(timed, name):
    mesh, times = timed
    library, door = import_module(name), import_module(f"meshware.outbound.{name}")

    async def calls():
        inner = library.AsyncHTTPTransport(limits=library.Limits(max_connections=1))
        async with library.AsyncClient(transport=door.AsyncMeshTransport(mesh, transport=inner)) as client:
            return await asyncio.gather(*(client.get(URL) for _ in range(CALLS)))

    assert {each.text for each in asyncio.run(calls())} == {"ok"}
    assert all(SLEEP <= each < 2 * SLEEP for each in times.seen)
