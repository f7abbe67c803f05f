"""Starlette and FastAPI under a real uvicorn: whose context is seen where, and what a leaving caller ends."""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import time

import pytest
import wsproto.events
from faults.upstream import in_flight
from frameworks.asgi_servers import STARTUP, NotServing, ask, hanging_up, uvicorn_serving
from frameworks.asgi_shops import PIECES, SHOPS, Notes
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from wsproto import ConnectionType, WSConnection

import meshware.mesh
from meshware.context import Phase, RequestContext, current
from meshware.inbound.asgi import MeshMiddleware
from meshware.mesh import default_mesh
from meshware.outbound.instrument import uninstrument

NUMBER = re.compile(r"\d+\.\d{3}")


@pytest.fixture(autouse=True)
def _untouched_process():
    yield
    uninstrument()
    for mesh in tuple(meshware.mesh._alive):
        mesh.close()
    assert current() is None


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture(params=sorted(SHOPS))
def shop(request, upstream, notes, caplog):
    """The shop's port. Nothing may have gone wrong in the server by the end."""
    settings = {
        "services": {"inventory": {"endpoints": [upstream.address], "timeout": 30.0}},
        "request_timeout": 1000.0,
        "trusted_peers": ["127.0.0.0/8"],
    }
    with caplog.at_level(logging.ERROR), uvicorn_serving(SHOPS[request.param](settings, notes), ws="wsproto") as port:
        yield port
    assert [record.getMessage() for record in caplog.records] == []


def timeouts(count):
    """A deadline for each request that no other one has."""
    return [f"{500 + number / 1000:.3f}" for number in range(count)]


async def ask_all(port, paths, *, count):
    """So many requests at once, by turns of these paths: the deadline sent, the path, and the answer."""

    async def one(number, timeout):
        path = paths[number % len(paths)]
        return timeout, path, await ask(port, path, headers=[("X-Meshware-Timeout", timeout)])

    return await asyncio.gather(*(one(number, timeout) for number, timeout in enumerate(timeouts(count))))


PATHS = ["/plain", "/plain_async", "/stream", "/stream_async", "/tasks", "/background", "/background_async", "/file"]


def within(seconds, condition):
    """It comes true in so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def contexts():
    gc.collect()
    return {id(each) for each in gc.get_objects() if type(each) is RequestContext}


@pytest.mark.untraced
@pytest.mark.row("F57", "F58")
def test_a_thousand_requests_at_once_see_each_its_own_context_to_the_last_byte_and_leave_nothing(shop, notes):
    before = contexts()
    answers = asyncio.run(ask_all(shop, PATHS, count=1000))
    for timeout, path, (status, head, body) in answers:
        assert status == 200, head
        seen = NUMBER.findall(head if path == "/file" else body)
        assert set(seen) == {timeout}, (path, seen)
        assert "none" not in body or path == "/file"
        if path.startswith("/stream"):
            assert len(seen) == PIECES
    in_background = [timeout for timeout, path, _ in answers if path.startswith("/background")]
    within(STARTUP, lambda: len(notes.background) == len(in_background))
    assert notes.background == dict.fromkeys(in_background, (Phase.RESPONDED, None))
    within(STARTUP, lambda: contexts() <= before)  # uvicorn may still end the last tasks, FastAPI its dependencies
    assert all(name.removesuffix(" async") == seen for name, seen in dict(notes.dependencies).items())


def test_a_sync_endpoint_calls_by_name_and_what_is_sent_says_how_much_time_is_left(shop, upstream):
    status, _, body = asyncio.run(ask(shop, "/items", headers=[("X-Meshware-Timeout", "7.5")]))
    assert (status, body) == (200, "ok")
    (seen,) = upstream.requests
    assert 0 < float(seen.headers["x-meshware-timeout"]) <= 7.5


def test_a_request_that_comes_too_late_is_answered_504(shop, upstream):
    status, _, body = asyncio.run(ask(shop, "/items", headers=[("X-Meshware-Timeout", "0")]))
    assert status == 504
    assert "deadline" in body
    assert upstream.requests == []


def test_a_websocket_sees_its_context_with_each_message(shop):
    async def talk():
        reader, writer = await asyncio.open_connection("127.0.0.1", shop)
        client = WSConnection(ConnectionType.CLIENT)
        own = [(b"X-Meshware-Timeout", b"500.123")]
        writer.write(client.send(wsproto.events.Request(host="shop", target="/talk", extra_headers=own)))
        heard = []
        while len(heard) < 3:
            client.receive_data(await reader.read(65536))
            for event in client.events():
                if isinstance(event, wsproto.events.TextMessage):
                    heard.append(event.data)
                writer.write(client.send(wsproto.events.TextMessage("hello")))
        writer.write(client.send(wsproto.events.CloseConnection(1000)))
        await reader.read()
        writer.close()
        return heard

    assert asyncio.run(talk()) == ["500.123"] * 3


def test_a_websocket_that_comes_too_late_is_refused(shop):
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    upgrade += [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("X-Meshware-Timeout", "0")]
    assert asyncio.run(ask(shop, "/talk", headers=upgrade))[0] == 403


POST = {"method": "POST", "body": b"{}", "headers": [("Content-Type", "application/json")]}


@pytest.mark.row("F56")
@pytest.mark.parametrize(
    ("path", "options"),
    [("/slow/hole", {}), ("/slow/hole", POST), ("/slow/stall-body", {}), ("/relay", {})],
    ids=["before the headers", "after an upload", "in the body", "while it is relayed"],
)
def test_who_hangs_up_ends_the_calls_made_for_him_at_once_and_the_server_logs_no_error(
    shop, notes, upstream, path, options
):
    with hanging_up(shop, path, **options):
        within(STARTUP, lambda: upstream.requests)
        assert not notes.cancelled.wait(0.1)
    assert notes.cancelled.wait(2.0)
    assert upstream.let_go_within(2.0)
    within(STARTUP, lambda: in_flight(default_mesh()) == 0)


@pytest.mark.parametrize("place", ["around", "inside"])
@pytest.mark.parametrize("framework", sorted(SHOPS))
def test_nor_does_a_middleware_of_the_frameworks_own_kind(framework, place, upstream, notes, caplog):
    class Passing(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            return await call_next(request)

    app = SHOPS[framework]({"services": {"inventory": {"endpoints": [upstream.address]}}}, notes)
    app.user_middleware.insert(0 if place == "around" else 1, Middleware(Passing))
    with caplog.at_level(logging.ERROR), uvicorn_serving(app) as port:
        with hanging_up(port, "/slow/hole"):
            within(STARTUP, lambda: upstream.requests)
        assert notes.cancelled.wait(2.0)
    assert [record.getMessage() for record in caplog.records] == []


# The server's start and end


async def hello(request):
    return PlainTextResponse("hello")


def hello_shop(settings):
    app = Starlette(routes=[Route("/", hello)])
    app.add_middleware(MeshMiddleware, settings=settings)
    return app


@pytest.mark.parametrize("lifespan", ["auto", "on"])
def test_the_server_does_not_start_with_wrong_settings_and_logs_each_problem(caplog, lifespan):
    settings = {"services": {"inventory": {"endpoint": ["127.0.0.1:9"]}}, "timeout": -1}
    with pytest.raises(NotServing), uvicorn_serving(hello_shop(settings), lifespan=lifespan):
        pass
    logged = "\n".join(record.getMessage() for record in caplog.records)
    assert "did you mean 'endpoints'" in logged
    assert "timeout" in logged


@pytest.mark.parametrize("lifespan", ["auto", "off"])
def test_the_mesh_lives_as_long_as_the_server_and_also_without_a_lifespan(lifespan):
    settings = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}}
    with uvicorn_serving(hello_shop(settings), lifespan=lifespan) as port:
        assert asyncio.run(ask(port, "/"))[2] == "hello"
        assert default_mesh() is not None
    assert (default_mesh() is None) == (lifespan == "auto")
