"""Through httpx and httpx2, everything the user sees is the logical name's; only the connection is the endpoint's."""

from __future__ import annotations

import io
import pickle
from importlib import import_module

import pybreaker
import pytest
from clients.httpx_faces import Async, custom_transport
from faults.upstream import Upstream, in_flight

import meshware
from meshware.core import errors

URL = "http://inventory"


@pytest.fixture
def mesh(mesh_of, upstream):
    return mesh_of(inventory=[upstream])


@pytest.fixture
def face(face_of, mesh):
    return face_of(mesh)


def test_a_plain_answer(face, upstream):
    answer = face.get(f"{URL}/echo?a=1", headers={"X-Mine": "1"}, auth=("me", "secret"))
    assert str(answer.url) == str(answer.request.url) == f"{URL}/echo?a=1"
    headers = answer.json()["headers"]
    assert headers["host"] == "inventory"
    assert headers["x-mine"] == "1"
    assert headers["authorization"].startswith("Basic ")
    assert answer.json()["target"] == "/echo?a=1"
    assert answer.elapsed.total_seconds() > 0
    assert answer.reason_phrase == "Whatever"
    assert upstream.address not in repr(answer.headers)


def test_the_deadline_goes_out_with_the_attempt_and_is_no_part_of_the_request(face):
    answer = face.get(f"{URL}/echo", timeout=2.0)
    assert 1.5 < float(answer.json()["headers"]["x-meshware-timeout"]) <= 2.0
    assert "x-meshware-timeout" not in answer.request.headers


@pytest.mark.parametrize("location", ["/echo", "http://inventory/echo", "//inventory/echo"])
def test_a_redirect_goes_through_the_mesh_again(face, location):
    answer = face.get(f"{URL}/status/302?Location={location}", follow_redirects=True)
    assert str(answer.url) == f"{URL}/echo"
    assert len(answer.history) == 1
    assert answer.json()["headers"]["host"] == "inventory"


def test_a_redirect_to_another_service_and_to_a_stranger(mesh_of, face_of, upstreams):
    inventory, pricing, stranger = upstreams
    face = face_of(mesh_of(inventory=[inventory], pricing=[pricing]))
    answer = face.get(f"{URL}/status/302?Location=http://pricing/echo", follow_redirects=True)
    assert answer.json()["headers"]["host"] == "pricing"
    answer = face.get(f"{URL}/status/302?Location=http://{stranger.address}/echo", follow_redirects=True)
    headers = answer.json()["headers"]
    assert headers["host"] == stranger.address
    assert not any(name.startswith("x-meshware") for name in headers)


def test_cookies_belong_to_the_logical_name(mesh_of, face_of, upstreams):
    face = face_of(mesh_of(inventory=upstreams[:1], pricing=upstreams[:1]))
    face.get(f"{URL}/status/200?Set-Cookie=a%3Db%3B+Path%3D/")
    assert "a=b" in face.get(f"{URL}/echo").json()["headers"]["cookie"]
    assert "cookie" not in face.get("http://pricing/echo").json()["headers"]
    assert "cookie" not in face.get(f"http://{upstreams[0].address}/echo").json()["headers"]


@pytest.mark.parametrize(("host", "expected"), [("logical", "inventory"), ("shop.example", "shop.example")])
def test_the_host_header_is_as_set(mesh_of, face_of, upstream, host, expected):
    answer = face_of(mesh_of({"host": host}, inventory=[upstream])).get(f"{URL}/echo")
    assert answer.json()["headers"]["host"] == expected
    assert answer.request.headers["host"] == "inventory"


def test_the_host_header_may_be_the_endpoints(mesh_of, face_of, upstream):
    face = face_of(mesh_of({"host": "endpoint"}, inventory=[upstream]))
    assert face.get(f"{URL}/echo").json()["headers"]["host"] == upstream.address
    assert face.get(f"{URL}/echo", headers={"Host": "mine"}).json()["headers"]["host"] == "mine"


@pytest.mark.parametrize("name", ["INVENTORY", "Inventory.", "inventory:80"])
def test_case_a_trailing_dot_and_the_default_port_are_the_same_name(face, name):
    assert face.get(f"http://{name}/ok").text == "ok"


@pytest.mark.parametrize("url", ["http://me:secret@inventory/", "http://inventory.example/", "http://inventory:81/"])
def test_anything_else_is_a_stranger(face, upstream, url):
    with pytest.raises(face.library.ConnectError):
        face.get(url, timeout=1)
    assert upstream.requests == []


def test_other_hosts_pass_through_untouched(face, upstream):
    headers = face.get(f"http://{upstream.address}/echo").json()["headers"]
    assert headers["host"] == upstream.address
    assert not any(name.startswith("x-meshware") for name in headers)


# Bodies


def once(face):
    """A body that can be sent once."""

    async def slowly():
        yield b"one"
        yield b"two"

    return slowly() if "Async" in face.kind else iter([b"one", b"two"])


def test_bodies_of_every_kind_go_out(face):
    def sent(**body):
        return face.request("POST", f"{URL}/echo", **body).json()["body"]

    assert sent(content=b"bytes") == "bytes"
    assert sent(json={"a": 1}).replace(" ", "") == '{"a":1}'
    assert sent(data={"a": "1"}) == "a=1"
    assert sent(content=once(face)) == "onetwo"
    assert "upload" in sent(files={"f": io.BytesIO(b"upload")})


def test_answers_can_be_streamed(face):
    answer = face.stream(f"{URL}/big")
    assert sum(map(len, face.pieces(answer))) == 1_000_000
    face.close(answer)
    assert face.get(f"{URL}/chunked").text == "abcdef"
    assert face.get(f"{URL}/until-close").text == "all of it"
    assert face.request("HEAD", f"{URL}/ok").text == ""


def failing_once(upstream):
    """The first request is answered 503."""
    before = upstream.answers["echo"]

    def behave(connection, seen):
        upstream.answers["echo"] = before
        return connection.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    upstream.answers["echo"] = behave


@pytest.mark.parametrize("body", [{"content": b"again"}, {"json": "again"}, {"files": {"f": io.BytesIO(b"again")}}])
def test_a_body_that_can_be_sent_again_is(face, upstream, body):
    failing_once(upstream)
    assert "again" in face.request("PUT", f"{URL}/echo", **body).json()["body"]
    assert upstream.requests[0].body == upstream.requests[1].body


def test_a_generator_is_never_sent_again(face, upstream):
    failing_once(upstream)
    assert face.request("PUT", f"{URL}/echo", content=once(face)).status_code == 503
    assert len(upstream.requests) == 1


def test_a_file_that_cannot_be_wound_back_is_never_sent_again(face, upstream):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    failing_once(upstream)
    assert face.request("PUT", f"{URL}/echo", files={"f": Pipe(b"once")}).status_code == 503
    assert len(upstream.requests) == 1


def test_a_body_that_raises_reaches_the_user_and_leaves_nothing(face, mesh, upstream):
    def body():
        yield b"some"
        raise LookupError("mine")

    async def body_async():
        yield b"some"
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        face.request("POST", f"{URL}/echo", content=body_async() if "Async" in face.kind else body())
    assert in_flight(mesh) == 0
    assert upstream.let_go_within(2.0)


def test_connections_are_kept_alive(face, upstream):
    for _ in range(5):
        assert face.get(f"{URL}/ok").text == "ok"
    assert len(upstream.connections) == 1


def test_a_closed_client_has_let_its_connections_go(face, upstream):
    face.get(f"{URL}/ok")
    assert upstream.open_connections == 1
    face.run(face.client.aclose() if "Async" in face.kind else face.client.close())
    assert upstream.let_go_within(2.0)


# Transports, mounts, proxies


def test_the_inner_transports_settings_hold_for_endpoints(face_of, mesh_of, upstream):
    probe = face_of(mesh_of(inventory=[upstream]))
    kind = getattr(probe.library, "AsyncHTTPTransport" if "Async" in probe.kind else "HTTPTransport")
    face = face_of(probe.client._transport.mesh, inner=kind(limits=probe.library.Limits(max_connections=1)))
    held = face.stream(f"{URL}/stall-body")
    with pytest.raises(meshware.DeadlineExceeded):
        face.get(f"{URL}/ok", timeout=0.3)
    face.close(held)
    assert face.get(f"{URL}/ok").text == "ok"


def test_a_mock_is_left_alone(face_of, mesh):
    probe = face_of(mesh)
    mock = probe.library.MockTransport(lambda request: probe.library.Response(418, text=request.url.host))
    answer = face_of(mesh, inner=mock).get(f"{URL}/ok")
    assert (answer.status_code, answer.text) == (418, "inventory")


def test_a_transport_of_the_users_own_gets_the_endpoints_address(face_of, mesh):
    face = face_of(mesh, inner=custom_transport(face_of(mesh)))
    answer = face.get(f"{URL}/echo")
    assert answer.json()["headers"]["host"] == "inventory"
    assert answer.json()["headers"]["x-mine"] == "1"
    assert str(answer.url) == f"{URL}/echo"
    assert "x-mine" not in answer.request.headers


@pytest.mark.parametrize("name", ["httpx2", "httpx"])
def test_an_async_stream_of_the_users_own_may_have_any_iterator(mesh, name):
    library = import_module(name)

    class Pieces:
        left = 2

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return b"x"

    class Stream(library.AsyncByteStream):
        def __aiter__(self):
            return Pieces()

    class Mine(library.AsyncBaseTransport):
        async def handle_async_request(self, request):
            return library.Response(200, stream=Stream())

    face = Async(name, mesh, inner=Mine())
    assert face.get(f"{URL}/ok").text == "xx"
    face.end()
    assert in_flight(mesh) == 0


def test_https_by_a_transport_of_the_users_own_is_refused(face_of, mesh_of, upstream, ca):
    mesh = mesh_of({"tls": {"ca": ca}}, inventory=[upstream])
    face = face_of(mesh, inner=custom_transport(face_of(mesh)))
    with pytest.raises(face.library.UnsupportedProtocol, match="Mine"):
        face.get("https://inventory/ok")
    assert upstream.connections == []


# Errors


def test_no_error_names_the_endpoint(mesh_of, face_of, upstream):
    upstream.stop()
    face = face_of(mesh_of({"retry": {"attempts": 1}}, inventory=[upstream], gone=["no-such-host.invalid:80"]))
    for name in ("inventory", "gone"):
        with pytest.raises(face.library.ConnectError) as failed:
            face.get(f"http://{name}/ok", timeout=3)
        said = str(failed.value) + repr(failed.value)
        assert "127.0.0.1" not in said
        assert str(upstream.port) not in said
        assert "invalid" not in said
        assert str(failed.value.request.url) == f"http://{name}/ok"


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (errors.DeadlineExceeded("inventory", 1.0, 1), ["TimeoutException"]),
        (errors.NoEndpoint("inventory", {"a:1": "ejected"}), ["ConnectError"]),
        (errors.CircuitOpen("inventory", 9.0, 1.0), ["ConnectError", pybreaker.CircuitBreakerError]),
        (errors.Overloaded("inventory", "no room"), ["ConnectError"]),
        (errors.InsecureService("inventory"), ["UnsupportedProtocol"]),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_error_of_ours_is_also_the_clients_own(face, error, also):
    request = face.client.build_request("GET", f"{URL}/ok")
    twin = face.door.LIBRARY.twin(error, request)
    assert isinstance(twin, (type(error), meshware.MeshError))
    assert isinstance(twin, face.library.HTTPError)
    assert all(isinstance(twin, getattr(face.library, kind) if isinstance(kind, str) else kind) for kind in also)
    assert str(twin) == str(error)
    assert twin.request is request
    twin.request = None
    copy = pickle.loads(pickle.dumps(twin))
    assert type(copy) is type(twin)
    assert copy.service == "inventory"


def test_a_circuit_that_is_open_refuses_in_every_vocabulary(mesh_of, face_of, upstream):
    settings = {"retry": {"attempts": 1}, "circuit": {"calls": 3, "span": 0.001}, "ejection": {"enabled": False}}
    face = face_of(mesh_of(settings, inventory=[upstream]))
    while len(upstream.requests) < 3:
        face.get(f"{URL}/status/500")
    for kind in (meshware.CircuitOpen, face.library.ConnectError, pybreaker.CircuitBreakerError):
        with pytest.raises(kind, match="circuit open"):
            face.get(f"{URL}/ok")
    assert len(upstream.requests) == 3


def test_a_request_that_http_cannot_say_is_the_users_error_and_blames_nobody(face, mesh, upstream):
    with pytest.raises(face.library.LocalProtocolError):
        face.get(f"{URL}/ok", headers={"X-Mine": "a\nb"})
    assert mesh.services["inventory"].guard.failures == 0
    assert in_flight(mesh) == 0


# TLS


def test_the_logical_name_is_asked_for_and_verified(tls_upstream, mesh_of, face_of, ca):
    server = tls_upstream("inventory")
    answer = face_of(mesh_of({"tls": {"ca": ca}}, inventory=[server])).get("https://inventory/echo")
    assert answer.json()["server_name"] == "inventory"
    assert answer.json()["headers"]["host"] == "inventory"
    assert str(answer.url) == "https://inventory/echo"


def test_a_certificate_for_another_name_is_refused(tls_upstream, mesh_of, face_of, ca):
    server = tls_upstream("pricing")
    face = face_of(mesh_of({"tls": {"ca": ca}}, inventory=[server]))
    with pytest.raises(face.library.ConnectError, match="inventory"):
        face.get("https://inventory/ok")
    assert server.requests == []


@pytest.mark.parametrize("http2", [False, True])
def test_two_names_at_one_endpoint_never_share_a_connection(tls_upstream, mesh_of, face_of, ca, http2):
    server = tls_upstream("inventory")
    mesh = mesh_of({"tls": {"ca": ca}}, inventory=[server], billing=[server])
    probe = face_of(mesh)
    kind = getattr(probe.library, "AsyncHTTPTransport" if "Async" in probe.kind else "HTTPTransport")
    face = face_of(mesh, inner=kind(http2=http2))
    assert face.get("https://inventory/ok").text == "ok"
    with pytest.raises(face.library.ConnectError):
        face.get("https://billing/ok")
    assert len(server.requests) == 1


def test_another_name_may_be_verified_by_setting(tls_upstream, mesh_of, face_of, ca):
    server = tls_upstream("pods.example")
    face = face_of(mesh_of({"tls": {"ca": ca, "server_name": "pods.example"}}, inventory=[server]))
    answer = face.get("https://inventory/echo")
    assert answer.json()["server_name"] == "pods.example"
    assert answer.json()["headers"]["host"] == "inventory"


def test_the_clients_own_verification_holds_where_the_settings_say_nothing(tls_upstream, mesh_of, face_of, ca):
    import ssl

    server = tls_upstream("inventory")
    mesh = mesh_of({"tls": {}}, inventory=[server])
    face = face_of(mesh)
    with pytest.raises(face.library.ConnectError):
        face.get("https://inventory/ok")
    kind = getattr(face.library, "AsyncHTTPTransport" if "Async" in face.kind else "HTTPTransport")
    trusting = face_of(mesh, inner=kind(verify=ssl.create_default_context(cafile=ca)))
    assert trusting.get("https://inventory/ok").text == "ok"


def test_a_client_certificate_is_shown(mesh_of, face_of, authority, ca, tmp_path):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("inventory").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    pem = tmp_path / "shop.pem"
    authority.issue_cert("shop").private_key_and_cert_chain_pem.write_to_path(pem)
    with Upstream(context) as server:
        face = face_of(mesh_of({"tls": {"ca": ca, "cert": str(pem)}}, inventory=[server]))
        assert face.get("https://inventory/ok").text == "ok"


def test_https_without_tls_settings_is_refused_and_nothing_sent(tls_upstream, mesh_of, face_of):
    server = tls_upstream("inventory")
    face = face_of(mesh_of(inventory=[server]))
    with pytest.raises(face.library.UnsupportedProtocol, match=r"services\.inventory\.tls") as refused:
        face.get("https://inventory/ok")
    assert isinstance(refused.value, meshware.MeshError)
    assert server.connections == []
