"""Overload under a real uvicorn: the sheddable go first, streams hold no place, and a tier that has healed shows it."""

from __future__ import annotations

import asyncio
import time

import pytest
from frameworks.asgi_servers import ask, uvicorn_serving
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

import meshware.mesh
from meshware.context import Phase, current, remaining
from meshware.inbound.asgi import MeshMiddleware
from meshware.mesh import Mesh


@pytest.fixture(autouse=True)
def _closed():
    yield
    for mesh in tuple(meshware.mesh._alive):
        mesh.close()


class Shop:
    """An app whose answers take as long as is said, or until they are let go."""

    def __init__(self):
        self.takes = 0.0
        self.go = False
        self.streams = 0
        self.background = []
        routes = [Route("/", self.answer), Route("/held", self.held), Route("/events", self.events)]
        self.mesh = Mesh.from_settings({
            "trusted_peers": ["127.0.0.0/8"],
            "inbound": {"limit": 10},
            "request_timeout": 60.0,
        })  # fmt: skip
        self.app = MeshMiddleware(Starlette(routes=routes), mesh=self.mesh, instrument=False)

    async def answer(self, request):
        await asyncio.sleep(self.takes)
        return PlainTextResponse("hello", background=BackgroundTask(self.after))

    def after(self):
        context = current()
        self.background.append((context.phase, remaining(), context.spend()))

    async def held(self, request):
        await self._until_let_go()
        return PlainTextResponse("held")

    async def events(self, request):
        async def pieces():
            self.streams += 1
            yield b"data: 1\n\n"
            await self._until_let_go()

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def _until_let_go(self):
        for _ in range(2000):
            if self.go:
                return
            await asyncio.sleep(0.01)


async def until(condition):
    """A condition of the server's, which a busy machine may take its time for."""
    for _ in range(1500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it has never come true")


def criticality(word):
    return [("X-Meshware-Criticality", word)]


def test_the_sheddable_go_first_and_streams_hold_no_place():
    shop = Shop()

    async def run(port):
        streams = []
        for number in range(1, 16):
            streams.append(asyncio.create_task(ask(port, "/events")))
            await until(lambda number=number: shop.streams == number and shop.mesh.admission.in_flight == 0)
        held = [asyncio.create_task(ask(port, "/held")) for _ in range(6)]
        await until(lambda: shop.mesh.admission.in_flight == 6)
        answers = [await ask(port, "/", headers=criticality(word)) for word in ("sheddable", "default")]
        held += [asyncio.create_task(ask(port, "/held")) for _ in range(3)]
        await until(lambda: shop.mesh.admission.in_flight == 9)
        answers += [await ask(port, "/", headers=criticality(word)) for word in ("default", "critical")]
        shop.go = True
        last = await asyncio.gather(*streams, *held)
        await until(lambda: shop.mesh.admission.in_flight == 0)
        return answers, last

    with uvicorn_serving(shop.app) as port:
        answers, last = asyncio.run(run(port))
    assert [status for status, _, _ in answers] == [503, 200, 503, 200]
    assert "x-meshware-refused: sheddable" in answers[0][1]
    assert "x-meshware-refused: limit" in answers[2][1]
    assert "retry-after: " in answers[2][1]
    assert {status for status, _, _ in last} == {200}
    assert shop.mesh.inbound()["refused"] == {"sheddable": 1, "limit": 1}


def test_a_tier_that_was_slow_refuses_what_cannot_finish_and_is_open_within_two_seconds_of_healing():
    shop = Shop()
    deadline = [("grpc-timeout", "500m")]

    async def run(port):
        shop.takes = 1.0
        for _ in range(3):
            await asyncio.gather(*(ask(port, "/") for _ in range(8)))
        refused = await asyncio.gather(*(ask(port, "/", headers=deadline) for _ in range(6)))
        shop.takes, healed, row = 0.0, time.monotonic(), 0
        while row < 20 and time.monotonic() - healed < 20.0:
            status, _, _ = await ask(port, "/", headers=deadline)
            if status == 504:
                row = 0
            elif row == 0:
                opened, row = time.monotonic() - healed, 1
            else:
                row += 1
        return refused, opened

    with uvicorn_serving(shop.app) as port:
        refused, opened = asyncio.run(run(port))
    assert sum(status == 504 for status, _, _ in refused) >= 4  # one a second is let through
    assert any("x-meshware-refused: deadline" in head for _, head, _ in refused)
    assert opened < 2.0


def test_a_background_task_has_no_deadline_and_an_allowance_of_its_own():
    shop = Shop()

    async def run(port):
        status, _, _ = await ask(port, "/", headers=[("x-envoy-expected-rq-timeout-ms", "30000")])
        await until(lambda: shop.background)
        return status

    with uvicorn_serving(shop.app) as port:
        assert asyncio.run(run(port)) == 200
    assert shop.background == [(Phase.RESPONDED, None, True)]
