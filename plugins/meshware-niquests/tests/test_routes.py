"""Routes through niquests, sync and async: where calls go, what they say, and what the caller gets."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import niquests
import pytest
from meshware_niquests import AsyncMeshAdapter, MeshAdapter, Overloaded

import meshware


class Handler(BaseHTTPRequestHandler):
    """Says what has arrived; fails at `/bad`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append(self.path)
        facts = json.dumps({"path": self.path, "headers": headers, "port": self.server.server_port}).encode()
        self.send_response(503 if self.path == "/bad" else 200)
        self.send_header("Content-Length", str(len(facts)))
        self.send_header("X-Server", "secret")
        self.end_headers()
        self.wfile.write(facts)

    def log_message(self, *facts):
        pass


class Sync:
    def __init__(self, mesh):
        self.session = niquests.Session()
        self.session.mount("http://", MeshAdapter(mesh))

    def get(self, url, **options):
        return self.session.get(url, **options)

    def held(self, url):
        """An answer of which nothing is read, and how to drop it."""
        answer = self.session.get(url, stream=True)
        return answer.close

    def read(self, url):
        """The body, piece by piece."""
        return b"".join(self.session.get(url, stream=True).iter_content(3))

    def end(self):
        self.session.close()


class Async:
    def __init__(self, mesh):
        self.runner = asyncio.Runner()
        self.session = self.runner.run(self._made(mesh))

    async def _made(self, mesh):
        session = niquests.AsyncSession()
        session.mount("http://", AsyncMeshAdapter(mesh))
        return session

    def get(self, url, **options):
        return self.runner.run(self.session.get(url, **options))

    def held(self, url):
        answer = self.runner.run(self.session.get(url, stream=True))
        return lambda: self.runner.run(answer.close())

    def read(self, url):
        async def main():
            answer = await self.session.get(url, stream=True)
            return b"".join([piece async for piece in await answer.iter_content(3)])

        return self.runner.run(main())

    def end(self):
        self.runner.run(self.session.close())
        self.runner.close()


@pytest.fixture
def servers():
    made = []
    for _ in range(3):
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.seen, server.address = [], f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        made.append(server)
    yield made
    for each in made:
        each.shutdown()
        each.server_close()


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def shop(request, servers):
    """`shop({...})`: a session whose calls of inventory go by this route; versions 1 and 2, and a service `v3`."""
    made = []

    def make(route, **inventory):
        endpoints = [{"address": each.address, "metadata": {"v": n}} for n, each in enumerate(servers[:2], 1)]
        services = {
            "inventory": {"endpoints": endpoints, "retry": False, **inventory},
            "v3": {"endpoints": [servers[2].address]},
        }
        mesh = meshware.Mesh.from_settings(
            {"services": services, "routes": [{"name": "own", "match": {"service": "inventory"}, **route}]}
        )
        made.append((request.param(mesh), mesh))
        return made[-1][0]

    yield make
    for face, mesh in made:
        face.end()
        gc.collect()
        assert not any(each.open for service in mesh.services.values() for each in service.endpoints)
        mesh.close()


URL = "http://inventory"


def test_a_split_and_a_subset_decide_where_calls_go_and_the_name_stays(shop, servers):
    answer = shop({"split": {"v3": 1}}).get(URL + "/items?a=1")
    assert (answer.url, answer.json()["port"]) == (URL + "/items?a=1", servers[2].server_port)
    assert (answer.json()["path"], answer.json()["headers"]["host"]) == ("/items?a=1", "inventory")
    face = shop({"subset": {"metadata": {"v": 2}}})
    assert {face.get(URL + "/items").json()["port"] for _ in range(6)} == {servers[1].server_port}


def test_a_route_is_matched_by_the_query(shop):
    face = shop({"match": {"service": "inventory", "query": {"beta": "1"}}, "respond": {"status": 204}})
    assert [face.get(f"{URL}/?beta={n}").status_code for n in (1, 2)] == [204, 200]


def test_path_and_headers_are_the_routes_and_the_callers_request_is_as_it_was(shop):
    route = {
        "match": {"service": "inventory", "path": {"prefix": "/v2"}},
        "rewrite": {"prefix": "/", "host": "other"},
        "request_headers": {"set": {"x-a": "1"}, "add": {"x-b": "2"}, "remove": ["x-c"]},
        "response_headers": {"remove": ["x-server"], "set": {"x-route": "own"}},
    }
    answer = shop(route).get(URL + "/v2/items?q=%20", headers={"X-B": "1", "X-C": "1"})
    arrived = answer.json()
    assert (arrived["path"], arrived["headers"]["host"]) == ("/items?q=%20", "other")
    assert (arrived["headers"]["x-a"], arrived["headers"]["x-b"]) == ("1", "1, 2")
    assert "x-c" not in arrived["headers"]
    assert (answer.url, answer.request.headers["X-C"]) == (URL + "/v2/items?q=%20", "1")
    assert (answer.headers["x-route"], "x-server" in answer.headers) == ("own", False)


def test_a_route_may_answer_by_itself(shop, servers):
    face = shop({"respond": {"status": 418, "body": {"tea": 1}, "headers": {"Set-Cookie": "pot=1"}}})
    answer = face.get(URL + "/")
    assert (answer.status_code, answer.json(), answer.url) == (418, {"tea": 1}, URL + "/")
    assert (answer.headers["x-meshware-route"], face.session.cookies["pot"]) == ("route", "1")
    assert face.read(URL + "/") == b'{"tea": 1}'
    assert not any(each.seen for each in servers)


def test_a_failure_has_the_fallback_of_its_route_or_its_service(shop, servers):
    sorry = {"static": {"body": "sorry"}}
    answer = shop({"fallback": sorry}).get(URL + "/bad")
    assert (answer.text, answer.headers["x-meshware-fallback"]) == ("sorry", "static")
    assert shop({}, fallback=sorry).get(URL + "/bad").text == "sorry"
    assert shop({"fallback": False}, fallback=sorry).get(URL + "/bad").status_code == 503
    assert shop({}, fallback=sorry, endpoints=["127.0.0.1:1"]).get(URL + "/").text == "sorry"


def test_a_fallback_that_is_interrupted_keeps_nothing_open(shop):
    def interrupted(*facts):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop({"fallback": {"callable": interrupted}}).get(URL + "/bad")


def test_a_routes_place_is_held_until_the_answer_is_dropped(shop):
    face = shop({"limits": {"in_flight": 1}})
    drop = face.held(URL + "/")
    with pytest.raises(Overloaded, match="route own"):
        face.get(URL + "/")
    drop()
    assert face.get(URL + "/").status_code == 200


def test_a_mirror_gets_a_copy(shop, servers):
    shop({"mirror": {"service": "v3"}}).get(URL + "/items?a=1")
    until = time.monotonic() + 5
    while not servers[2].seen and time.monotonic() < until:
        time.sleep(0.01)
    assert servers[2].seen == ["/items?a=1"]
