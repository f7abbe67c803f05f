"""niquests by the mesh, against real servers."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import niquests
import pytest
import trustme
from jh2.config import H2Configuration
from jh2.connection import H2Connection
from jh2.events import RequestReceived
from meshware_niquests import AsyncMeshAdapter, MeshAdapter, NiquestsClient
from urllib3 import Timeout

import meshware
from meshware.testing import check_client

URL = "http://inventory"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        server = self.server
        length = int(self.headers.get("Content-Length", 0))
        server.seen.append((self.command, self.path, self.rfile.read(length)))
        if server.failing and self.path == "/echo":
            self.answer(503, b"no")
        elif self.path == "/echo":
            facts = {
                "host": self.headers["Host"],
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "port": server.server_port,
            }
            self.answer(200, json.dumps(facts).encode())
        elif self.path == "/redirect":
            self.answer(302, b"", Location="/echo")
        elif self.path == "/hole":
            server.stopping.wait(5)
        elif self.path == "/drip":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            while not server.stopping.wait(0.05):
                self.wfile.write(b".")
        elif self.path == "/stall":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            server.stopping.wait(5)
        elif self.path == "/events":
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            server.stopping.wait(0.8)
            self.wfile.write(b"data: late\n\n")
            self.close_connection = True
        elif self.path == "/digest" and "Authorization" not in self.headers:
            self.answer(401, b"who?", WWW_Authenticate='Digest realm="a", nonce="b", qop="auth"')
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"only this")
            self.close_connection = True
        else:
            self.answer(200, b"ok" * 50_000)

    do_POST = do_PUT = do_GET  # noqa: N815

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass  # its caller's deadline has passed, or does not trust us

    def log_message(self, *facts):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.seen, self.failing, self.stopping = [], False, threading.Event()
        self.address = f"127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.stopping.set()
        self.shutdown()
        self.server_close()


@pytest.fixture
def servers():
    made = [Server() for _ in range(3)]
    yield made
    for each in made:
        each.stop()


@pytest.fixture
def mesh(servers):
    settings = {
        "endpoints": [each.address for each in servers],
        "strategy": "round_robin",
        "retry": {"budget": {"minimum": 20}},
    }
    made = meshware.Mesh.from_settings({"services": {"inventory": settings}})
    yield made
    assert in_flight(made) == 0
    made.close()


def test_it_is_fit_for_use():
    check_client(NiquestsClient, get=lambda url: niquests.get(url, timeout=5).status_code)


def in_flight(mesh):
    gc.collect()
    return sum(len(each.open) for service in mesh.services.values() for each in service.endpoints)


class Sync:
    def __init__(self, mesh):
        self.session = niquests.Session()
        if mesh is not None:
            self.session.mount("http://", MeshAdapter(mesh))

    def get(self, path, method="GET", **options):
        return self.session.request(method, URL + path, **options)

    def gone_through(self, url, **options):
        with self.session.get(url, stream=True, **options) as answer:
            return b"".join(answer.iter_content(1000))

    def half_read(self, path):
        answer = self.session.get(URL + path, stream=True)
        next(answer.iter_content(10))
        answer.close()

    def end(self):
        self.session.close()


class Async:
    def __init__(self, mesh):
        self.runner = asyncio.Runner()
        self.session = self.runner.run(self._made(mesh))

    async def _made(self, mesh):
        session = niquests.AsyncSession()
        if mesh is not None:
            session.mount("http://", AsyncMeshAdapter(mesh))
        return session

    def get(self, path, method="GET", **options):
        return self.runner.run(self.session.request(method, URL + path, **options))

    def gone_through(self, url, **options):
        async def main():
            async with await self.session.get(url, stream=True, **options) as answer:
                return b"".join([piece async for piece in await answer.iter_content(1000)])

        return self.runner.run(main())

    def half_read(self, path):
        async def main():
            answer = await self.session.get(URL + path, stream=True)
            async for _ in await answer.iter_content(10):
                break
            await answer.close()

        self.runner.run(main())

    def end(self):
        self.runner.run(self.session.close())
        self.runner.close()


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def face(request, mesh):
    made = request.param(mesh)
    yield made
    made.end()


def test_everything_the_user_sees_is_the_logical_names(face):
    answer = face.get("/echo")
    assert answer.url == f"{URL}/echo"
    assert answer.json()["host"] == "inventory"
    assert 0 < float(answer.json()["headers"]["x-meshware-timeout"]) <= 10
    assert "x-meshware-timeout" not in answer.request.headers


def test_calls_go_to_every_endpoint(face, servers):
    assert {face.get("/echo").json()["port"] for _ in range(6)} == {each.server_port for each in servers}


def test_a_redirect_goes_through_the_mesh_again(face):
    answer = face.get("/redirect")
    assert answer.url == f"{URL}/echo"
    assert answer.json()["host"] == "inventory"


def test_a_dead_one_of_three_costs_the_caller_nothing(face, mesh, servers):
    servers[0].stop()
    assert [face.get("/echo").status_code for _ in range(20)] == [200] * 20
    assert "refused" in mesh.status()["inventory"][servers[0].address]["state"]


def test_a_failing_one_of_three_costs_the_caller_nothing(face, servers):
    servers[0].failing = True
    assert [face.get("/echo").status_code for _ in range(10)] == [200] * 10


def test_a_body_that_can_be_sent_again_is_and_a_generator_is_not(face, servers):
    for each in servers:
        each.failing = True
    assert face.get("/echo", "PUT", data=b"again").status_code == 503
    assert [body for each in servers for _, _, body in each.seen] == [b"again", b"again"]
    for each in servers:
        each.seen.clear()
    assert face.get("/echo", "POST", data=b"once").status_code == 503
    assert sum(len(each.seen) for each in servers) == 1


@pytest.mark.parametrize("path", ["/hole", "/drip"])
def test_a_deadline_holds_over_headers_and_body(face, path):
    began = time.monotonic()
    with pytest.raises(meshware.DeadlineExceeded) as failed:
        face.get(path, timeout=0.4)
    assert 0.3 < time.monotonic() - began < 1.0
    assert isinstance(failed.value, niquests.exceptions.Timeout)
    assert face.get("/echo").status_code == 200


@pytest.mark.parametrize("timeout", [(1, 0.3), (1, 0.3, 5), Timeout(connect=1, read=0.3)], ids=str)
@pytest.mark.parametrize("path", ["/hole", "/stall"])
def test_the_caller_s_read_timeout_is_kept_over_headers_and_body(face, path, timeout):
    began = time.monotonic()
    with pytest.raises(niquests.exceptions.RequestException) as failed:
        face.get(path, "POST", timeout=timeout)
    assert 0.25 < time.monotonic() - began < 0.8
    assert path == "/stall" or isinstance(failed.value, niquests.exceptions.ReadTimeout)


def test_the_caller_s_connect_timeout_is_kept(servers):
    """Nobody accepts at a socket whose queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        address = deaf.getsockname()
        with socket.create_connection(address), niquests.Session() as session:
            settings = {"endpoints": [f"{address[0]}:{address[1]}"], "retry": {"attempts": 1}}
            session.mount("http://", MeshAdapter(meshware.Mesh.from_settings({"services": {"deaf": settings}})))
            began = time.monotonic()
            with pytest.raises(niquests.exceptions.ConnectTimeout):
                session.get("http://deaf/", timeout=(0.2, 5))
            assert time.monotonic() - began < 0.8


@pytest.mark.parametrize("timeout", [(1, 2, 3, 4), (1, "soon"), -1], ids=str)
def test_what_is_no_timeout_is_refused_as_niquests_refuses_it(face, timeout):
    with pytest.raises(ValueError):
        face.get("/echo", timeout=timeout)


def test_an_idle_event_stream_that_nobody_bounded_is_waited_for(face, mesh):
    mesh.services["inventory"].timeout = 0.4
    assert face.gone_through(f"{URL}/events") == b"data: late\n\n"


def test_a_body_that_nobody_bounded_is_broken_when_idle_for_too_long(face, mesh):
    mesh.services["inventory"].idle = 0.2
    began = time.monotonic()
    with pytest.raises(niquests.exceptions.RequestException):
        face.get("/stall")
    assert 0.15 < time.monotonic() - began < 1.0


def test_the_second_request_of_digest_auth_goes_through_the_mesh(face, servers):
    auth = niquests.auth.AsyncHTTPDigestAuth if isinstance(face, Async) else niquests.auth.HTTPDigestAuth
    assert face.get("/digest", auth=auth("me", "secret")).status_code == 200
    assert sorted(len(each.seen) for each in servers) == [0, 1, 1]


def test_an_answer_dropped_half_read_gives_its_slot_back(face, mesh):
    for _ in range(10):
        face.half_read("/big")
    assert in_flight(mesh) == 0
    assert mesh.services["inventory"].guard.failures == 0


def test_a_body_cut_short_is_an_error_and_a_failure(face, mesh):
    heard = []
    service = mesh.services["inventory"]
    service.on_end = (lambda call, attempt, ending, wire, now: heard.append(ending.value),)
    with pytest.raises(niquests.exceptions.RequestException):
        face.get("/short")
    service.settle(time.monotonic())
    patience = time.monotonic() + 5.0
    while not heard and time.monotonic() < patience:  # the housekeeper may be in the middle of settling it
        time.sleep(0.005)
    assert heard == ["broken"]


def test_every_session_is_meshed_when_instrumented(mesh, servers):
    plain, client = niquests.Session(), NiquestsClient()
    client.instrument(lambda: mesh)
    try:
        assert plain.get(f"{URL}/echo").json()["host"] == "inventory"
        assert niquests.get(f"{URL}/echo").json()["host"] == "inventory"
        assert plain.get(f"http://{servers[0].address}/echo").json()["host"] == servers[0].address

        async def ask():
            async with niquests.AsyncSession() as session:
                return (await session.get(f"{URL}/echo")).json()["host"]

        assert asyncio.run(ask()) == "inventory"
    finally:
        plain.close()
        client.uninstrument()
    with pytest.raises(niquests.exceptions.ConnectionError):
        niquests.get(f"{URL}/echo", timeout=1)


def test_it_is_found_by_its_entry_point():
    from meshware import plugins

    assert plugins.load("meshware.clients", "niquests") is NiquestsClient


# TLS


@pytest.fixture
def authority():
    return trustme.CA()


@pytest.fixture
def secure(authority, tmp_path):
    """Two names at one address whose certificate is for `inventory` only, and what the second one got."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inventory").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = Server(context)
    settings = {"endpoints": [server.address], "tls": {"ca": str(tmp_path / "ca.pem")}, "retry": {"attempts": 1}}
    plain = {"endpoints": [server.address]}
    mesh = meshware.Mesh.from_settings({"services": {"inventory": settings, "billing": settings, "plain": plain}})
    yield mesh, server
    mesh.close()
    server.stop()


def test_a_certificate_is_for_the_logical_name_only(secure):
    mesh, server = secure
    with niquests.Session() as session:
        session.mount("https://", MeshAdapter(mesh))
        assert session.get("https://inventory/echo").json()["host"] == "inventory"
        with pytest.raises(niquests.exceptions.SSLError):
            session.get("https://billing/echo")
        with pytest.raises(niquests.exceptions.InvalidSchema, match="tls"):
            session.get("https://plain/echo")
    assert len(server.seen) == 1


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def secure_face(request, secure):
    made = request.param(None)
    adapter = {Sync: MeshAdapter, Async: AsyncMeshAdapter}[request.param]
    made.session.mount("https://", adapter(secure[0]))
    yield made
    made.end()


def test_a_certificate_is_for_the_server_name_where_one_is_set(secure, secure_face):
    mesh, _ = secure
    settings = mesh.services["inventory"].tls
    mesh.services["billing"].tls = settings.model_copy(update={"server_name": "inventory"})
    assert b'"host": "billing"' in secure_face.gone_through("https://billing/echo")
    mesh.services["inventory"].tls = settings.model_copy(update={"server_name": "other"})
    with pytest.raises(niquests.exceptions.SSLError):
        secure_face.gone_through("https://inventory/echo")


def test_a_connection_made_for_one_server_name_is_not_used_for_another(secure, secure_face):
    mesh, _ = secure
    assert secure_face.gone_through("https://inventory/echo")
    settings = mesh.services["inventory"].tls
    mesh.services["inventory"].tls = settings.model_copy(update={"server_name": "other"})
    with pytest.raises(niquests.exceptions.SSLError):
        secure_face.gone_through("https://inventory/echo")


# HTTP/2


class Http2:
    """Answers every request with 40 bytes; those for /drip come one by one, and take four seconds."""

    def __init__(self, context):
        context.set_alpn_protocols(["h2"])
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.stopping, self.connections = threading.Event(), 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return  # stopped
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        state = H2Connection(H2Configuration(client_side=False))
        with self._context.wrap_socket(sock, server_side=True) as secured:
            state.initiate_connection()
            secured.sendall(state.data_to_send())
            while data := secured.recv(65536):
                for event in state.receive_data(data):
                    if isinstance(event, RequestReceived):
                        dripping = dict(event.headers)[b":path"] == b"/drip"
                        threading.Thread(target=self._answer, args=(state, secured, event.stream_id, dripping)).start()
                secured.sendall(state.data_to_send())

    def _answer(self, state, sock, stream, dripping):
        state.send_headers(stream, [(":status", "200"), ("content-length", "40")])
        for number in range(40):
            if dripping and self.stopping.wait(0.1):
                return
            try:
                state.send_data(stream, b"x", end_stream=number == 39)
                sock.sendall(state.data_to_send())
            except Exception:
                return  # its caller has given it up

    def stop(self):
        self.stopping.set()
        self._listening.close()


@pytest.fixture
def http2(authority, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inventory").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = Http2(context)
    settings = {"endpoints": [server.address], "tls": {"ca": str(tmp_path / "ca.pem")}, "timeout": 0.5}
    mesh = meshware.Mesh.from_settings({"services": {"inventory": settings}})
    yield mesh, server
    assert in_flight(mesh) == 0
    mesh.close()
    server.stop()


@pytest.mark.parametrize("way", ["content", "pieces", "read"])
def test_a_deadline_holds_over_a_body_that_drips_over_http2(http2, way):
    """And others on the same connection go on."""
    mesh, server = http2
    read = {
        "content": lambda answer: answer.content,
        "pieces": lambda answer: list(answer.iter_content(1000)),
        "read": lambda answer: answer.raw.read(),
    }[way]
    with niquests.Session() as session:
        session.mount("https://", MeshAdapter(mesh))
        began = time.monotonic()
        with pytest.raises(meshware.DeadlineExceeded):
            read(session.get("https://inventory/drip", stream=True))
        assert 0.4 < time.monotonic() - began < 1.0
        answer = session.get("https://inventory/quick")
        assert (answer.content, answer.http_version) == (b"x" * 40, 20)
    assert server.connections == 1


def test_a_deadline_holds_over_a_body_that_drips_over_http2_async(http2):
    async def main():
        async with niquests.AsyncSession() as session:
            session.mount("https://", AsyncMeshAdapter(http2[0]))
            began = time.monotonic()
            with pytest.raises(meshware.DeadlineExceeded):
                await session.get("https://inventory/drip")
            elapsed = time.monotonic() - began
            return elapsed, (await session.get("https://inventory/quick")).content

    elapsed, content = asyncio.run(main())
    assert 0.4 < elapsed < 1.0
    assert content == b"x" * 40
    assert http2[1].connections == 1


def test_a_body_over_http2_is_whole_whichever_way_it_is_read(http2):
    with niquests.Session() as session:
        session.mount("https://", MeshAdapter(http2[0]))
        for read in (lambda raw: raw.read(), lambda raw: raw.read(1000), lambda raw: raw.read(15) + raw.read()):
            answer = session.get("https://inventory/quick", stream=True)
            assert read(answer.raw) == b"x" * 40
