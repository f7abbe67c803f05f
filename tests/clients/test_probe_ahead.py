"""Probe-ahead with real servers and clients: who is busy with others' requests gets none of ours."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from contextlib import ExitStack, closing

import pytest
from clients.httpx_faces import FACES
from frameworks.asgi_servers import hanging_up, uvicorn_serving

from meshware.inbound.asgi import MeshMiddleware
from meshware.mesh import Mesh
from meshware.settings.schema import MeshSettings

HELD = 20
SECONDS = 0.03
CALLS = 40


class Shop:
    """An app behind our middleware; `/held` is answered when `over` is set."""

    def __init__(self, name, **settings):
        self.name, self.over = name, threading.Event()
        self.paths = Counter()
        self.mesh = Mesh(MeshSettings.model_validate({"trusted_peers": ["127.0.0.0/8"], **settings}))
        self.door = MeshMiddleware(self, mesh=self.mesh, instrument=False)

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return
        self.paths[scope["path"]] += 1
        await asyncio.sleep(SECONDS)
        while scope["path"] == "/held" and not self.over.is_set():
            await asyncio.sleep(SECONDS)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
        await send({"type": "http.response.body", "body": self.name.encode()})


@pytest.fixture(params=["requests", "httpx2", "httpx2-async"])
def client_of(request):
    """`client_of(mesh)`: something with `get`, sync or async."""
    if request.param == "requests":
        yield request.getfixturevalue("session_of")
        return
    with ExitStack() as ends:

        def make(mesh):
            face = FACES[request.param](mesh)
            ends.callback(face.end)
            return face

        yield make


def answered(client_of, *, probe_ahead, **settings):
    """Who answers how many calls while the first of three is busy with others' requests; and the servers."""
    shops = [Shop(name, **settings) for name in "abc"]
    with ExitStack() as stack:
        ports = [stack.enter_context(uvicorn_serving(shop.door)) for shop in shops]
        stack.callback(shops[0].over.set)
        for _ in range(HELD):
            stack.enter_context(hanging_up(ports[0], "/held"))
        until = time.monotonic() + 10
        while shops[0].paths["/held"] < HELD and time.monotonic() < until:
            time.sleep(0.01)
        strategy = {"adaptive": {"probe_ahead": probe_ahead}}
        service = {"endpoints": [f"127.0.0.1:{port}" for port in ports], "strategy": strategy}
        mesh = stack.enter_context(closing(Mesh.from_settings({"services": {"inventory": service}})))
        client = client_of(mesh)
        for _ in range(10):  # connections, and what a request usually takes
            client.get("http://inventory/")
        seen = Counter(client.get("http://inventory/").text for _ in range(CALLS))
        return seen, shops, mesh.services["inventory"].endpoints[0].samplers[0]


def test_a_server_that_is_busy_with_others_gets_next_to_nothing(client_of):
    seen, shops, busy = answered(client_of, probe_ahead=True)
    assert busy._others == HELD
    assert seen["a"] <= CALLS / 10
    assert all(set(shop.paths) <= {"/", "/held"} for shop in shops)  # no app has seen a question


def test_without_it_a_client_cannot_know(client_of):
    seen, _, _ = answered(client_of, probe_ahead=False, load_reports="off")
    assert seen["a"] > CALLS / 5


def test_an_app_that_is_not_ours_to_ask_sees_a_question_once_in_a_while(client_of):
    seen, shops, _ = answered(client_of, probe_ahead=True, trusted_peers=[])
    assert seen.total() == CALLS
    assert all(shop.paths["/.well-known/meshware/load"] <= 2 for shop in shops)
