"""What a door in refuses, in each framework's words; and that what is let in gives its place back."""

from __future__ import annotations

import asyncio
import gc

import pytest
from inbound.asgi_server import Exchange
from inbound.test_wsgi import environ_of, serve

from meshware.context import current
from meshware.core.criticality import Criticality
from meshware.health.load import PATH
from meshware.inbound.asgi import MeshMiddleware as AsgiMiddleware
from meshware.inbound.door import Door, Refused
from meshware.inbound.wsgi import MeshMiddleware as WsgiMiddleware
from meshware.limiting.admission import Admission
from meshware.mesh import Mesh
from meshware.security.trust import CRITICALITY, REQUEST_START
from meshware.settings.schema import MeshSettings

TRUSTING = {"trusted_peers": ["127.0.0.0/8"]}
ONE = {"inbound": {"limit": 1}}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def mesh_of(**settings):
    return Mesh(MeshSettings.model_validate({**TRUSTING, **settings}), clock=Clock())


class Wsgi:
    """Requests to a WSGI app behind the door; `within` runs in the app."""

    def __init__(self, mesh, within=lambda: None, *, headers=()):
        self.mesh, self.within, self.headers = mesh, within, list(headers)
        self.door = WsgiMiddleware(self.app, mesh=mesh, instrument=False)

    def app(self, environ, start_response):
        self.within()
        start_response("200 OK", [("Content-Type", "text/plain"), *self.headers])
        return [b"hello"]

    def ask(self, path="/", *, method="GET", **headers):
        """Status, headers in lower case, and body."""
        extra = {"HTTP_" + name.upper(): value for name, value in headers.items()}
        status, headers, body = serve(self.door, PATH_INFO=path, method=method, **extra)
        return int(status[:3]), {name.lower(): value for name, value in headers}, body


class Asgi(Wsgi):
    """The same of an ASGI app."""

    def __init__(self, mesh, within=lambda: None, *, headers=()):
        self.mesh, self.within, self.headers = mesh, within, list(headers)
        self.door = AsgiMiddleware(self.app, mesh=mesh, instrument=False)

    async def app(self, scope, receive, send):
        self.within()
        headers = [(name.encode(), value.encode()) for name, value in self.headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})

    def ask(self, path="/", *, method="GET", **headers):
        exchange = Exchange(
            self.door, method=method, headers=[(name.replace("_", "-"), value) for name, value in headers.items()]
        )
        exchange.scope["path"] = path
        asyncio.run(exchange.run())
        said = {name.decode(): value.decode() for name, value in exchange.sent[0]["headers"]}
        return exchange.status, said, exchange.body


@pytest.fixture(params=[Wsgi, Asgi])
def server_of(request):
    return request.param


def held(mesh):
    """A request that is being served."""
    return Door(mesh).open({}, "GET", "/")


def test_what_is_too_much_is_refused_with_a_mark_and_when_to_come_again(server_of):
    mesh = mesh_of(**ONE)
    server, under_way = server_of(mesh), held(mesh)
    status, headers, body = server.ask()
    assert (status, headers["x-meshware-refused"]) == (503, "limit")
    assert headers["retry-after"] in ("1", "2")
    assert int(headers["content-length"]) == len(body) > 0
    assert server.ask(method="HEAD")[2] == b""
    under_way.done()
    assert server.ask()[0] == 200
    assert mesh.inbound() == {"in_flight": 0, "limit": 1.0, "refused": {"limit": 2}}


def test_a_request_holds_a_place_until_its_answer_is_out(server_of):
    mesh = mesh_of(**ONE)
    seen = []
    server = server_of(mesh, lambda: seen.append(mesh.admission.in_flight))
    assert [server.ask()[0] for _ in range(3)] == [200] * 3
    assert seen == [1, 1, 1]
    assert mesh.admission.in_flight == 0


def test_an_app_that_raises_gives_its_place_back(server_of):
    mesh = mesh_of(**ONE)

    def broken():
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError):
            server_of(mesh, broken).ask()
    assert mesh.admission.in_flight == 0


def test_our_own_probe_is_never_refused(server_of):
    mesh = mesh_of(**ONE)
    under_way = held(mesh)
    assert server_of(mesh).ask(PATH)[0] == 204
    under_way.done()


def test_a_deadline_that_has_passed_is_marked_too(server_of):
    status, headers, _ = server_of(mesh_of()).ask(x_meshware_timeout="0")
    assert (status, headers["x-meshware-refused"]) == (504, "expired")


@pytest.mark.parametrize(
    "header", [{"grpc_timeout": "100m"}, {"x_envoy_expected_rq_timeout_ms": "100"}, {"x_meshware_timeout": "0.1"}]
)
def test_what_cannot_finish_is_refused_whoever_says_the_deadline(server_of, header):
    mesh = mesh_of()
    server = server_of(mesh, lambda: setattr(mesh.clock, "now", mesh.clock.now + 0.5))
    for _ in range(20):
        assert server.ask("/report")[0] == 200
    assert server.ask("/report", **header)[0] == 200  # one a second
    mesh.clock.now -= 0.5
    status, headers, _ = server.ask("/report", **header)
    assert (status, headers["x-meshware-refused"]) == (504, "deadline")
    assert "retry-after" not in headers
    assert server.ask("/report", grpc_timeout="1S")[0] == 200


def test_a_caller_over_his_rate_is_answered_429(server_of):
    server = server_of(mesh_of(inbound={"rate_limits": [{"rate": 1, "burst": 2, "prefix": "/api"}]}))
    assert [server.ask("/api/x")[0] for _ in range(3)] == [200, 200, 429]
    assert server.ask("/api/x", x_meshware_caller="shop")[0] == 200
    assert server.ask("/")[0] == 200


def test_how_much_it_matters_is_the_pathes_or_the_trusted_callers(server_of):
    mesh = mesh_of(inbound={"criticality": {"/reports": "sheddable"}})
    seen = []
    server = server_of(mesh, lambda: seen.append(current().criticality))
    server.ask("/reports/1")
    server.ask("/reports/1", x_meshware_criticality="critical")
    server.ask("/")
    assert seen == [Criticality.SHEDDABLE, Criticality.CRITICAL, Criticality.DEFAULT]
    mesh.reload({"inbound": {"criticality": {"/reports": "sheddable"}}})
    server.ask("/reports/1", x_meshware_criticality="critical")
    assert seen[-1] is Criticality.SHEDDABLE


def test_an_event_stream_holds_no_place(server_of):
    mesh = mesh_of(**ONE)
    seen = []
    server = server_of(mesh, headers=[("content-type", "text/event-stream")])
    inner = server.app

    if server_of is Wsgi:

        def app(environ, start_response):
            inner(environ, start_response)
            yield b"one"
            seen.append(mesh.admission.in_flight)
            yield b"two"

    else:

        async def app(scope, receive, send):
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
            )
            seen.append(mesh.admission.in_flight)
            await send({"type": "http.response.body", "body": b"two"})

    server.door.app = app
    server.ask()
    assert seen == [0]


def test_a_door_within_a_door_takes_no_second_place(server_of):
    mesh = mesh_of(**ONE)
    within = server_of(mesh)
    outer = server_of(mesh, headers=[])
    outer.door.app = within.door
    assert [outer.ask()[0] for _ in range(3)] == [200] * 3
    assert mesh.admission.in_flight == 0


def test_a_wsgi_body_that_nobody_closes_gives_its_place_back():
    mesh = mesh_of(**ONE)

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"hello"

    body = WsgiMiddleware(app, mesh=mesh, instrument=False)(environ_of(), lambda *_: None)
    assert mesh.admission.in_flight == 1
    del body
    gc.collect()
    assert mesh.admission.in_flight == 0


def test_a_websocket_holds_a_place_until_it_is_accepted():
    mesh = mesh_of(**ONE)
    seen = []

    async def app(scope, receive, send):
        seen.append(mesh.admission.in_flight)
        await send({"type": "websocket.accept"})
        seen.append(mesh.admission.in_flight)

    asyncio.run(Exchange(AsgiMiddleware(app, mesh=mesh, instrument=False), kind="websocket").run())
    assert seen == [1, 0]
    under_way = held(mesh)
    refused = Exchange(AsgiMiddleware(app, mesh=mesh, instrument=False), kind="websocket")
    asyncio.run(refused.run())
    assert refused.sent == [
        {"type": "websocket.close", "code": 1013, "reason": "overloaded: too many requests at once"}
    ]
    under_way.done()


# How long it has waited


def waiting(mesh, age):
    door = Door(mesh, wall=lambda: 1_700_000_000.0 + age)
    return door.open({REQUEST_START: ["t=1700000000.000"]}, "GET", "/", peer="127.0.0.1")


def test_what_has_waited_too_long_in_front_is_refused():
    mesh = mesh_of(inbound={"queue": {"enabled": True}})
    waiting(mesh, 0.0)
    found = []
    for _ in range(20):
        mesh.clock.now += 0.03
        found.append(waiting(mesh, 0.5))
    assert {each.reason for each in found if isinstance(each, Refused)} == {"queue"}


@pytest.mark.parametrize("age", [4000.0, -4000.0])
def test_a_wait_that_nobody_can_mean_is_ignored(age):
    mesh = mesh_of(inbound={"queue": {"enabled": True}})
    for _ in range(20):
        mesh.clock.now += 0.03
        assert not isinstance(waiting(mesh, age), Refused)


# The mesh


def test_a_fault_in_admitting_never_ends_a_request(server_of, monkeypatch):
    def broken(*args):
        raise RuntimeError("broken")

    mesh = mesh_of(**ONE)
    monkeypatch.setattr(Admission, "admit", broken)
    assert server_of(mesh).ask()[0] == 200
    monkeypatch.undo()
    monkeypatch.setattr(Admission, "answered", broken)
    assert server_of(mesh).ask()[0] == 200
    assert mesh.plugin_failures == 2


def test_nothing_is_kept_where_all_is_off():
    mesh = mesh_of(inbound={"feasible": False})
    assert (mesh.admission, mesh.inbound()) == (None, {})
    assert held(mesh).admitted is None


def test_a_reload_keeps_what_was_learned_unless_it_changes():
    mesh = mesh_of(**ONE)
    before = mesh.admission
    mesh.reload({**ONE, "environment": "test"})
    assert mesh.admission is before
    mesh.reload({"inbound": {"limit": 2}})
    assert mesh.admission is not before


def test_criticality_goes_on_with_a_part_of_a_request():
    mesh = mesh_of()
    context = Door(mesh).open({CRITICALITY: ["critical"]}, "GET", "/", peer="127.0.0.1")
    assert context.criticality is context.nested(None).criticality is context.view().criticality is Criticality.CRITICAL
