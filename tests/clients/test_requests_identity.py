"""Through requests, everything the user sees is the logical name's; only the connection is the endpoint's."""

from __future__ import annotations

import io
import pickle

import pybreaker
import pytest
import requests
from faults.upstream import in_flight
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

import meshware
from meshware.core import errors
from meshware.outbound import requests_errors
from meshware.outbound.requests import MeshAdapter

URL = "http://inventory"


@pytest.fixture
def mesh(mesh_of, upstream):
    return mesh_of(inventory=[upstream])


@pytest.fixture
def session(session_of, mesh):
    return session_of(mesh)


def test_a_plain_answer(session, upstream):
    answer = session.get(f"{URL}/echo?a=1", headers={"X-Mine": "1"}, auth=("me", "secret"))
    assert answer.url == f"{URL}/echo?a=1"
    assert answer.request.url == answer.url
    assert answer.json()["headers"]["host"] == "inventory"
    assert answer.json()["headers"]["x-mine"] == "1"
    assert answer.json()["headers"]["authorization"].startswith("Basic ")
    assert answer.elapsed.total_seconds() > 0
    assert answer.reason == "Whatever"
    assert upstream.address not in repr(answer.headers)


def test_the_deadline_goes_out_with_the_attempt_and_is_no_part_of_the_request(session):
    answer = session.get(f"{URL}/echo", timeout=2.0)
    assert 1.5 < float(answer.json()["headers"]["x-meshware-timeout"]) <= 2.0
    assert "x-meshware-timeout" not in answer.request.headers


@pytest.mark.parametrize("location", ["/echo", "http://inventory/echo", "//inventory/echo"])
def test_a_redirect_goes_through_the_mesh_again(session, location):
    answer = session.get(f"{URL}/status/302?Location={location}")
    assert answer.url == f"{URL}/echo"
    assert [each.url for each in answer.history] == [f"{URL}/status/302?Location={location}"]
    assert answer.json()["headers"]["host"] == "inventory"


def test_a_redirect_to_another_service_and_to_a_stranger(mesh_of, session_of, upstreams):
    inventory, pricing, stranger = upstreams
    session = session_of(mesh_of(inventory=[inventory], pricing=[pricing]))
    answer = session.get(f"{URL}/status/302?Location=http://pricing/echo")
    assert answer.json()["headers"]["host"] == "pricing"
    answer = session.get(f"{URL}/status/302?Location=http://{stranger.address}/echo")
    headers = answer.json()["headers"]
    assert headers["host"] == stranger.address
    assert not any(name.startswith("x-meshware") for name in headers)


def test_cookies_belong_to_the_logical_name(mesh_of, session_of, upstreams):
    session = session_of(mesh_of(inventory=upstreams[:1], pricing=upstreams[:1]))
    session.get(f"{URL}/status/200?Set-Cookie=a%3Db%3B+Path%3D/")
    assert "a=b" in session.get(f"{URL}/echo").json()["headers"]["cookie"]
    assert "cookie" not in session.get("http://pricing/echo").json()["headers"]
    assert "cookie" not in session.get(f"http://{upstreams[0].address}/echo").json()["headers"]


def test_an_answer_has_the_cookies_that_it_brought(mesh_of, session_of, upstream):
    session = session_of(mesh_of(inventory=[upstream]))
    assert session.get(f"{URL}/echo").cookies.get_dict() == {}
    assert session.get(f"{URL}/status/200?sEt-cOOkie=a%3Db").cookies.get_dict() == {"a": "b"}


def test_what_another_tool_has_put_in_the_place_of_build_response_sees_each_answer(
    mesh_of, session_of, upstream, monkeypatch
):
    session, plain, seen = session_of(mesh_of(inventory=[upstream])), HTTPAdapter.build_response, []

    def traced(adapter, request, response):
        seen.append(request.url)
        return plain(adapter, request, response)

    monkeypatch.setattr(HTTPAdapter, "build_response", traced)
    assert session.get(f"{URL}/echo").status_code == 200
    assert seen == [f"{URL}/echo"]


@pytest.mark.parametrize("name", ["getresponse", "putheader"])
def test_what_another_tool_has_put_in_the_place_of_urllib3s_methods_is_called(
    mesh_of, session_of, upstream, monkeypatch, name
):
    session, plain, seen = session_of(mesh_of(inventory=[upstream])), getattr(HTTPConnection, name), []

    def traced(connection, *args):
        seen.append(connection.host)
        return plain(connection, *args)

    monkeypatch.setattr(HTTPConnection, name, traced)
    assert session.get(f"{URL}/echo").status_code == 200
    assert set(seen) == {"inventory"}


@pytest.mark.parametrize(("host", "expected"), [("logical", "inventory"), ("shop.example", "shop.example")])
def test_the_host_header_is_as_set(mesh_of, session_of, upstream, host, expected):
    session = session_of(mesh_of({"host": host}, inventory=[upstream]))
    answer = session.get(f"{URL}/echo")
    assert answer.json()["headers"]["host"] == expected
    assert "Host" not in answer.request.headers


def test_the_host_header_may_be_the_endpoints(mesh_of, session_of, upstream):
    session = session_of(mesh_of({"host": "endpoint"}, inventory=[upstream]))
    assert session.get(f"{URL}/echo").json()["headers"]["host"] == upstream.address
    assert session.get(f"{URL}/echo", headers={"Host": "mine"}).json()["headers"]["host"] == "mine"


def test_a_name_with_a_port_means_that_port_only(mesh_of, session_of, upstream):
    from meshware.mesh import Mesh

    mesh = Mesh.from_settings({"services": {"inventory:8080": {"endpoints": [upstream.address]}}})
    session = session_of(mesh)
    assert session.get("http://inventory:8080/echo").json()["headers"]["host"] == "inventory:8080"
    with pytest.raises(requests.ConnectionError, match="inventory"):
        session.get("http://inventory/echo", timeout=2)
    mesh.close()


@pytest.mark.parametrize("name", ["INVENTORY", "Inventory.", "inventory:80"])
def test_case_a_trailing_dot_and_the_default_port_are_the_same_name(session, name):
    assert session.get(f"http://{name}/ok").text == "ok"


@pytest.mark.parametrize("url", ["http://me:secret@inventory/", "http://inventory.example/", "http://inventory:81/"])
def test_anything_else_is_a_stranger(session, upstream, url):
    with pytest.raises(requests.ConnectionError):
        session.get(url, timeout=1)
    assert upstream.requests == []


def test_other_hosts_pass_through_untouched(session, upstream):
    headers = session.get(f"http://{upstream.address}/echo").json()["headers"]
    assert headers["host"] == upstream.address
    assert not any(name.startswith("x-meshware") for name in headers)


# Bodies


def test_bodies_of_every_kind_go_out(session):
    assert session.post(f"{URL}/echo", data=b"bytes").json()["body"] == "bytes"
    assert session.post(f"{URL}/echo", json={"a": 1}).json()["body"] == '{"a": 1}'
    assert session.post(f"{URL}/echo", data=iter([b"one", b"two"])).json()["body"] == "onetwo"
    assert session.post(f"{URL}/echo", data=io.BytesIO(b"file")).json()["body"] == "file"
    assert "upload" in session.post(f"{URL}/echo", files={"f": io.BytesIO(b"upload")}).json()["body"]


def test_answers_can_be_streamed_in_every_way(session):
    with session.get(f"{URL}/big", stream=True) as answer:
        assert sum(map(len, answer.iter_content(10_000))) == 1_000_000
    with session.get(f"{URL}/chunked", stream=True) as answer:
        assert list(answer.iter_lines()) == [b"abcdef"]
    with session.get(f"{URL}/chunked", stream=True) as answer:
        assert answer.raw.read() == b"abcdef"
    with session.get(f"{URL}/big", stream=True) as answer:
        assert len(answer.raw.read(100)) == 100
    assert session.get(f"{URL}/until-close").text == "all of it"
    assert session.head(f"{URL}/ok").text == ""


def failing_once(upstream):
    """The first request is answered 503."""
    before = upstream.answers["echo"]

    def behave(connection, seen):
        upstream.answers["echo"] = before
        return connection.send(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")

    upstream.answers["echo"] = behave


def test_a_file_is_sent_again_from_where_it_began(session, upstream):
    failing_once(upstream)
    file = io.BytesIO(b"skipped the file")
    file.seek(8)
    assert session.put(f"{URL}/echo", data=file).json()["body"] == "the file"
    assert [each.body for each in upstream.requests] == [b"the file", b"the file"]


def test_a_generator_is_never_sent_again(session, upstream):
    failing_once(upstream)
    answer = session.put(f"{URL}/echo", data=iter([b"once"]))
    assert answer.status_code == 503
    assert len(upstream.requests) == 1


def test_a_body_that_raises_reaches_the_user_and_leaves_nothing(session, mesh, upstream):
    def body():
        yield b"some"
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        session.post(f"{URL}/echo", data=body())
    assert in_flight(mesh) == 0
    assert upstream.let_go_within(2.0)


def test_connections_are_kept_alive(session, upstream):
    for _ in range(5):
        assert session.get(f"{URL}/ok").text == "ok"
    assert len(upstream.connections) == 1


# Proxies, mounts, adapters


def test_proxies_of_the_environment_are_for_others(monkeypatch, session, upstream):
    monkeypatch.setenv("http_proxy", "http://me:secret@127.0.0.1:9")
    headers = session.get(f"{URL}/status/302?Location=/echo").json()["headers"]
    assert headers["host"] == "inventory"
    assert "proxy-authorization" not in headers
    with pytest.raises(requests.exceptions.ProxyError):
        session.get("http://elsewhere.example/", timeout=2)


def test_the_users_own_retries_do_not_run_inside_an_attempt(mesh_of, session_of, upstream):
    session = session_of(mesh_of({"retry": {"attempts": 1}}, inventory=[upstream]), max_retries=5)
    with pytest.raises(requests.ConnectionError):
        session.get(f"{URL}/close")
    assert len(upstream.requests) == 1


def test_a_bounded_pool_waits_no_longer_than_the_deadline(mesh_of, session_of, upstream):
    mesh = mesh_of(inventory=[upstream])
    session = session_of(mesh, pool_maxsize=1, pool_block=True)
    with session.get(f"{URL}/stall-body", stream=True) as held:
        assert held.status_code == 200
        with pytest.raises(meshware.DeadlineExceeded) as failed:
            session.get(f"{URL}/ok", timeout=0.3)
    assert "Pool is empty" in str(failed.value.__cause__)
    state = mesh.status()["inventory"][upstream.address]
    assert state["state"] == "available"
    assert session.get(f"{URL}/ok").text == "ok"


def test_an_adapter_can_be_pickled():
    copy = pickle.loads(pickle.dumps(MeshAdapter(pool_maxsize=3)))
    assert isinstance(copy, MeshAdapter)
    assert copy.mesh is None


def test_a_closed_adapter_has_let_its_connections_go(session, upstream):
    session.get(f"{URL}/ok")
    assert upstream.open_connections == 1
    session.close()
    assert upstream.let_go_within(2.0)
    assert session.get(f"{URL}/ok").text == "ok"


# Errors


def test_no_error_names_the_endpoint(mesh_of, session_of, upstream):
    upstream.stop()
    session = session_of(mesh_of({"retry": {"attempts": 1}}, inventory=[upstream], gone=["no-such-host.invalid:80"]))
    for name in ("inventory", "gone"):
        with pytest.raises(requests.ConnectionError) as failed:
            session.get(f"http://{name}/ok", timeout=3)
        said = str(failed.value) + repr(failed.value)
        assert f"host='{name}'" in said
        assert "127.0.0.1" not in said
        assert str(upstream.port) not in said
        assert "invalid" not in said
        assert failed.value.request.url == f"http://{name}/ok"


@pytest.mark.parametrize(
    ("error", "also"),
    [
        (errors.DeadlineExceeded("inventory", 1.0, 1), [requests.Timeout, requests.ConnectionError]),
        (errors.NoEndpoint("inventory", {"a:1": "ejected"}), [requests.ConnectionError]),
        (errors.CircuitOpen("inventory", 9.0, 1.0), [requests.ConnectionError, pybreaker.CircuitBreakerError]),
        (errors.Overloaded("inventory", "no room"), [requests.ConnectionError]),
        (errors.InsecureService("inventory"), [requests.exceptions.InvalidSchema, ValueError]),
    ],
    ids=lambda each: type(each).__name__,
)
def test_an_error_of_ours_is_also_requests_own(error, also):
    request = requests.Request("GET", f"{URL}/ok").prepare()
    twin = requests_errors.twin(error, request)
    assert isinstance(twin, (type(error), meshware.MeshError, requests.RequestException))
    assert all(isinstance(twin, kind) for kind in also)
    assert str(twin) == str(error)
    assert twin.request is request
    copy = pickle.loads(pickle.dumps(twin))
    assert type(copy) is type(twin)
    assert str(copy) == str(error)
    assert copy.service == "inventory"


def test_an_error_without_a_twin_is_itself():
    error = errors.BadHeader("x")
    assert requests_errors.twin(error, requests.Request("GET", URL).prepare()) is error


def test_a_circuit_that_is_open_refuses_in_every_vocabulary(mesh_of, session_of, upstream):
    settings = {"retry": {"attempts": 1}, "circuit": {"calls": 3, "span": 0.001}, "ejection": {"enabled": False}}
    session = session_of(mesh_of(settings, inventory=[upstream]))
    for _ in range(4):
        session.get(f"{URL}/status/500") if len(upstream.requests) < 3 else None
    for kind in (meshware.CircuitOpen, requests.ConnectionError, pybreaker.CircuitBreakerError):
        with pytest.raises(kind, match="circuit open"):
            session.get(f"{URL}/ok")
    assert len(upstream.requests) == 3


@pytest.mark.parametrize("timeout", [0, -1, "soon", (1, 2, 3)])
def test_a_wrong_timeout_is_refused_as_requests_refuses_it(session, upstream, timeout):
    with pytest.raises(ValueError):
        session.get(f"{URL}/ok", timeout=timeout)
    assert upstream.requests == []


def test_a_user_adapter_of_his_own_works_in_automatic_mode(mesh, upstream):
    class Mine(HTTPAdapter):
        def add_headers(self, request, **options):
            request.headers["X-Mine"] = "1"

        def build_response(self, request, answer):
            response = super().build_response(request, answer)
            response.mine = True
            return response

    meshware.instrument(lambda: mesh)
    try:
        with requests.Session() as session:
            session.mount("http://", Mine())
            answer = session.get(f"{URL}/echo")
    finally:
        meshware.uninstrument()
    assert answer.mine
    assert answer.json()["headers"]["x-mine"] == "1"
