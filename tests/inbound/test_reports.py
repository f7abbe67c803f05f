"""How busy this server is, in its answers: to whom it is told, and that whatever is counted is given back."""

from __future__ import annotations

import asyncio
import gc

import pytest
from inbound.asgi_server import Exchange, answer, served
from inbound.test_wsgi import Recorder, environ_of, serve

from meshware.context import current
from meshware.health.load import PATH
from meshware.inbound.asgi import MeshMiddleware as AsgiMiddleware
from meshware.inbound.door import Door, marks
from meshware.inbound.wsgi import MeshMiddleware as WsgiMiddleware
from meshware.mesh import Mesh
from meshware.security.orca import read_report
from meshware.settings.schema import MeshSettings

ASKED = "x-meshware-report"
TRUSTING = {"trusted_peers": ["127.0.0.0/8"]}


class Clock:
    """A clock that goes on by a step at each look."""

    def __init__(self, step=0.0):
        self.now, self.step = 1000.0, step

    def __call__(self):
        self.now += self.step
        return self.now


def mesh_of(clock=None, **settings):
    return Mesh(MeshSettings.model_validate({**TRUSTING, **settings}), clock=clock or Clock())


class Wsgi:
    """Requests to a WSGI app behind the door, and what their answers say."""

    def __init__(self, mesh, *, status=200, error=None, headers=()):
        self.mesh, self.status, self.error, self.headers = mesh, status, error, list(headers)
        self.in_flight = None

    def app(self, environ, start_response):
        self.in_flight = self.mesh.load.own(self.mesh.clock()).in_flight
        if self.error is not None:
            raise self.error
        start_response(f"{self.status} Whatever", [("Content-Type", "text/plain"), *self.headers])
        return [b"hello"]

    def ask(self, *values, peer="127.0.0.1"):
        extra = {"HTTP_X_MESHWARE_REPORT": ",".join(values)} if values else {}
        _, headers, _ = serve(WsgiMiddleware(self.app, mesh=self.mesh, instrument=False), REMOTE_ADDR=peer, **extra)
        return [value for name, value in headers if name == "endpoint-load-metrics"]


class Asgi(Wsgi):
    """The same of an ASGI app."""

    async def app(self, scope, receive, send):
        self.in_flight = self.mesh.load.own(self.mesh.clock()).in_flight
        if self.error is not None:
            raise self.error
        headers = [(name.encode(), value.encode()) for name, value in self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})

    def ask(self, *values, peer="127.0.0.1"):
        door = AsgiMiddleware(self.app, mesh=self.mesh, instrument=False)
        exchange = served(door, headers=[(ASKED, value) for value in values], client=(peer, 1))
        return [value.decode() for name, value in exchange.sent[0]["headers"] if name == b"endpoint-load-metrics"]


@pytest.fixture(params=[Wsgi, Asgi])
def server_of(request):
    return lambda mesh=None, **options: request.param(mesh or mesh_of(), **options)


def in_flight(mesh):
    return mesh.load.own(mesh.clock()).in_flight


def test_a_trusted_caller_who_asks_is_told(server_of):
    server = server_of(mesh_of(slots=8))
    (said,) = server.ask("1")
    assert said == (
        "TEXT application_utilization=0.000000, rps_fractional=0.000000, eps=0.000000, "
        "named_metrics.inflight=1.000000, named_metrics.slots=8.000000"
    )


def test_what_is_told_can_be_read(server_of):
    server = server_of(mesh_of(Clock(step=0.01), slots=2))
    for _ in range(50):
        (said,) = server.ask("1")
    report = read_report(said)
    assert 0.1 < report.utilization < 1
    assert report.rps > 5
    assert 0.005 < report.service_time < 0.1
    assert report.queue == 1


def test_errors_are_told(server_of):
    server = server_of(mesh_of(Clock(step=0.01)), status=503)
    for _ in range(50):
        (said,) = server.ask("1")
    report = read_report(said)
    assert report.eps == report.rps > 5


def test_who_does_not_ask_is_not_told(server_of):
    assert server_of().ask() == []


@pytest.mark.parametrize("values", [["0"], ["yes"], [""], ["1", "1"]])
def test_anything_but_a_one_is_no_question(server_of, values):
    assert server_of().ask(*values) == []


def test_strangers_are_never_told(server_of):
    for mode in ("asked", "always", "off"):
        assert server_of(mesh_of(load_reports=mode)).ask("1", peer="192.0.2.1") == []


def test_nobody_is_trusted_unless_named(server_of):
    server = server_of(mesh_of(trusted_peers=[], load_reports="always"))
    assert server.ask("1") == []
    assert server.in_flight == 0


def test_always_is_for_trusted_callers_who_cannot_ask(server_of):
    assert len(server_of(mesh_of(load_reports="always")).ask()) == 1


def test_off_is_off_and_counts_nothing(server_of):
    server = server_of(mesh_of(load_reports="off"))
    assert server.ask("1") == []
    assert server.in_flight == 0


def test_what_the_app_says_itself_stands(server_of):
    own = ("endpoint-load-metrics", "TEXT cpu_utilization=0.5")
    assert server_of(headers=[own]).ask("1") == [own[1]]


def test_a_reload_is_followed(server_of):
    mesh = mesh_of(load_reports="off")
    server = server_of(mesh)
    assert server.ask("1") == []
    mesh.reload({**TRUSTING, "slots": 5})
    assert "named_metrics.slots=5" in server.ask("1")[0]


def test_other_workers_are_counted_in(server_of):
    mesh = mesh_of(slots=2)
    mesh.load.others = (3.0, 6.0, 40.0, 4.0, 2.0)
    report = read_report(server_of(mesh).ask("1")[0])
    assert (report.queue, report.rps, report.eps) == (4, 40.0, 4.0)
    assert report.utilization == 2.0 / 8
    assert report.service_time == 0.05


# Given back on every way out


def test_while_the_app_runs_the_request_is_in_flight_and_then_no_more(server_of):
    server = server_of()
    server.ask()
    assert server.in_flight == 1
    assert in_flight(server.mesh) == 0


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
def test_an_app_that_raises_gives_its_place_back(server_of, error):
    server = server_of(error=error)
    with pytest.raises(type(error)):
        server.ask("1")
    assert server.in_flight == 1
    assert in_flight(server.mesh) == 0
    failed = isinstance(error, Exception)
    assert (server.mesh.load.own(server.mesh.clock()).eps > 0) is failed


def streaming(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    yield b"two"


def streamed(mesh):
    return WsgiMiddleware(streaming, mesh=mesh, instrument=False)(environ_of(), Recorder())


def test_a_wsgi_body_is_in_flight_until_it_has_been_read():
    mesh = mesh_of()
    body = streamed(mesh)
    next(body)
    assert in_flight(mesh) == 1
    assert list(body) == [b"two"]
    assert in_flight(mesh) == 0


def test_a_wsgi_body_that_is_closed_early_is_no_more_in_flight():
    mesh = mesh_of()
    body = streamed(mesh)
    next(body)
    body.close()
    assert in_flight(mesh) == 0


def test_a_wsgi_body_that_is_dropped_is_no_more_in_flight():
    mesh = mesh_of()
    body = streamed(mesh)
    next(body)
    del body
    gc.collect()
    assert in_flight(mesh) == 0


def test_an_event_stream_is_no_work():
    mesh = mesh_of()

    def events(environ, start_response):
        start_response("200 OK", [("content-type", "text/event-stream; charset=utf-8")])
        yield b"data: 1\n\n"

    body = WsgiMiddleware(events, mesh=mesh, instrument=False)(environ_of(), Recorder())
    next(body)
    assert in_flight(mesh) == 0


def test_an_asgi_request_that_is_cancelled_gives_its_place_back():
    mesh = mesh_of()

    async def sleepy(scope, receive, send):
        await asyncio.sleep(60)

    async def run():
        task = asyncio.create_task(Exchange(AsgiMiddleware(sleepy, mesh=mesh, instrument=False)).run())
        await asyncio.sleep(0.01)
        during = in_flight(mesh)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return during

    assert asyncio.run(run()) == 1
    assert in_flight(mesh) == 0
    assert mesh.load.own(mesh.clock()).eps == 0


def test_what_an_asgi_app_does_after_its_answer_is_not_in_flight():
    mesh, seen = mesh_of(), []

    async def busy(scope, receive, send):
        await answer(send, b"hello")
        seen.append(in_flight(mesh))

    served(AsgiMiddleware(busy, mesh=mesh, instrument=False))
    assert seen == [0]


def test_a_websocket_is_not_in_flight():
    mesh, seen = mesh_of(), []

    async def chat(scope, receive, send):
        seen.append(in_flight(mesh))
        await send({"type": "websocket.accept"})

    served(AsgiMiddleware(chat, mesh=mesh, instrument=False), kind="websocket")
    assert seen == [0]


def test_a_door_within_a_door_counts_once():
    server = Wsgi(mesh_of())
    inner = WsgiMiddleware(server.app, mesh=server.mesh, instrument=False)
    outer = WsgiMiddleware(inner, mesh=server.mesh, instrument=False)
    _, headers, _ = serve(outer, HTTP_X_MESHWARE_REPORT="1")
    assert server.in_flight == 1
    assert [name for name, _ in headers].count("endpoint-load-metrics") == 1
    assert current() is None


# Questions by themselves, for who probes ahead


def probed(mesh, kind, *, peer="127.0.0.1", method="GET", path=PATH):
    """Status and report of an answer, and whether the app was asked."""
    server = kind(mesh)
    if kind is Wsgi:
        answer = Recorder()
        extra = {"REMOTE_ADDR": peer, "REQUEST_METHOD": method, "PATH_INFO": path}
        list(WsgiMiddleware(server.app, mesh=mesh, instrument=False)(environ_of() | extra, answer))
        status, headers = int(answer.status[:3]), dict(answer.headers)
    else:
        exchange = Exchange(AsgiMiddleware(server.app, mesh=mesh, instrument=False), client=(peer, 1), method=method)
        exchange.scope["path"] = path
        asyncio.run(exchange.run())
        status, headers = exchange.status, {name.decode(): value.decode() for name, value in exchange.headers.items()}
    return status, headers.get("endpoint-load-metrics"), server.in_flight is not None


@pytest.mark.parametrize("kind", [Wsgi, Asgi])
def test_the_middleware_answers_a_trusted_peers_question_itself(kind):
    mesh = mesh_of(slots=4)
    busy = mesh.load.begin()
    status, said, app = probed(mesh, kind)
    assert (status, app) == (204, False)
    assert read_report(said).queue == 1
    busy.end()


@pytest.mark.parametrize("kind", [Wsgi, Asgi])
@pytest.mark.parametrize(
    "other",
    [
        {"peer": "192.0.2.1"},
        {"method": "POST"},
        {"path": PATH + "/"},
        {"settings": {"load_reports": "off"}},
        {"settings": {"trusted_peers": []}},
    ],
    ids=str,
)
def test_any_other_is_the_apps(kind, other):
    other = dict(other)
    status, said, app = probed(mesh_of(**other.pop("settings", {})), kind, **other)
    assert (status, said, app) == (200, None, True)


def broken(*_facts, **_named):
    raise ZeroDivisionError("as planned")


def test_a_fault_in_counting_never_ends_a_request(monkeypatch):
    mesh = mesh_of()
    door = Door(mesh)
    with monkeypatch.context() as patched:
        patched.setattr(mesh.load, "begin", broken)
        assert door.open({ASKED: ["1"]}, "GET", "/", peer="127.0.0.1").counted is None
    context = door.open({ASKED: ["1"]}, "GET", "/", peer="127.0.0.1")
    monkeypatch.setattr(mesh.load, "figures", broken)
    monkeypatch.setattr(mesh.load, "ended", broken)
    assert marks(context, 200) == []
    context.done()
    assert mesh.plugin_failures == 3
