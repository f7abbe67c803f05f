"""Fewer steps through httpx change nothing for who watches its transport, or says our headers himself."""

from __future__ import annotations

import pytest

from meshware.outbound.httpx_lines import _Connection

URL = "http://inventory"


@pytest.fixture
def face(mesh_of, face_of, upstream):
    return face_of(mesh_of(inventory=[upstream]))


def test_what_a_tracer_puts_in_the_transports_place_sees_each_attempt(face, monkeypatch):
    kind = type(face.client._transport._inner)
    name = "handle_async_request" if hasattr(kind, "handle_async_request") else "handle_request"
    plain, seen = getattr(kind, name), []

    def traced(transport, request):
        seen.append(request.url.host)
        return plain(transport, request)

    assert face.get(f"{URL}/echo").status_code == 200
    monkeypatch.setattr(kind, name, traced)
    assert face.get(f"{URL}/echo").status_code == 200
    assert seen == ["inventory"]


def test_what_is_put_in_the_place_of_httpcores_method_sees_each_attempt(face, monkeypatch):
    core, is_async = face.door.LIBRARY.core, "Async" in face.kind
    kind = core.AsyncHTTP11Connection if is_async else core.HTTP11Connection
    name = "handle_async_request" if is_async else "handle_request"
    plain, seen = getattr(kind, name), []

    def traced(connection, request):
        seen.append(request.url.target)
        return plain(connection, request)

    for _ in range(2):
        assert face.get(f"{URL}/echo").status_code == 200
    monkeypatch.setattr(kind, name, traced)
    assert face.get(f"{URL}/echo").status_code == 200
    assert seen == [b"/echo"]


def test_who_asks_for_httpcores_steps_is_told_of_them_on_a_kept_connection_too(face):
    told = []

    def trace(step, info):
        told.append(step)

    async def trace_async(step, info):
        told.append(step)

    for _ in range(2):
        assert face.get(f"{URL}/echo").status_code == 200
    face.get(f"{URL}/echo", extensions={"trace": trace_async if "Async" in face.kind else trace})
    begun = [step.removesuffix(".started") for step in told if step.startswith("http11.") and step.endswith(".started")]
    assert begun == [
        "http11.send_request_headers",
        "http11.send_request_body",
        "http11.receive_response_headers",
        "http11.receive_response_body",
        "http11.response_closed",
    ]


def test_a_deadline_header_of_the_callers_own_is_ours_on_the_wire_and_goes_out_once(face):
    for _ in range(3):
        said = face.get(f"{URL}/echo", headers={"X-Meshware-Timeout": "77"}, timeout=2.0).json()["headers"]
        assert 1.5 < float(said["x-meshware-timeout"]) <= 2.0


def test_other_headers_on_the_same_connection_go_out_as_they_are(face, upstream):
    for value in ("one", "two", "two", "three"):
        assert face.get(f"{URL}/echo", headers={"X-Mine": value}).json()["headers"]["x-mine"] == value
    assert len(upstream.connections) == 1


def test_a_header_that_http_cannot_say_is_the_users_error_on_a_kept_connection_too(face):
    face.get(f"{URL}/echo")
    with pytest.raises(face.library.LocalProtocolError):
        face.get(f"{URL}/echo", headers={"X-Mine": "a\nb"})
    assert face.get(f"{URL}/echo").status_code == 200


def streamed(face, count):
    """So many answers open at once, each read to its end."""
    answers = [face.stream(f"{URL}/echo") for _ in range(count)]
    for answer in answers:
        assert b"".join(face.pieces(answer))
        face.close(answer)


def test_answers_that_are_open_at_once_have_a_connection_each_and_the_next_use_those_again(face, upstream):
    for _ in range(3):
        streamed(face, 5)
    assert len(upstream.connections) == 5
    assert face.get(f"{URL}/echo").status_code == 200
    assert len(upstream.connections) == 5


def test_of_connections_at_rest_only_the_one_that_was_used_is_looked_at(face, monkeypatch):
    streamed(face, 5)
    looked, settled = [], _Connection.settled
    monkeypatch.setattr(_Connection, "settled", lambda connection: looked.append(connection) or settled(connection))
    assert face.get(f"{URL}/echo").status_code == 200
    assert len(looked) == 1


def test_no_more_connections_rest_than_the_client_keeps(mesh_of, face_of, upstream):
    probe = face_of(mesh_of(inventory=[upstream]))
    kind = getattr(probe.library, "AsyncHTTPTransport" if "Async" in probe.kind else "HTTPTransport")
    inner = kind(limits=probe.library.Limits(max_keepalive_connections=2))
    face = face_of(mesh_of(inventory=[upstream]), inner=inner)
    streamed(face, 5)
    streamed(face, 5)
    assert len(upstream.connections) == 5 + 3


def test_a_request_without_a_body_says_so_on_a_kept_connection_too(face, upstream):
    for _ in range(2):
        assert face.request("POST", f"{URL}/echo").json()["headers"]["content-length"] == "0"
        said = face.request("POST", f"{URL}/echo", content=b"abc").json()
        assert (said["headers"]["content-length"], said["body"]) == ("3", "abc")
        assert "content-length" not in face.get(f"{URL}/echo").json()["headers"]
    assert len(upstream.connections) == 1


def test_a_body_that_breaks_off_on_a_kept_connection_is_the_clients_error_and_the_next_is_another(face, upstream):
    face.get(f"{URL}/echo")
    with pytest.raises(face.library.RemoteProtocolError) as broken:
        face.get(f"{URL}/short")
    assert isinstance(broken.value.__cause__, face.door.LIBRARY.core.RemoteProtocolError)
    assert face.get(f"{URL}/echo").status_code == 200
    assert len(upstream.connections) == 2


def test_a_silent_endpoint_on_a_kept_connection_is_the_clients_read_timeout(face):
    face.get(f"{URL}/echo")
    with pytest.raises(face.library.ReadTimeout):
        face.get(f"{URL}/hole", timeout=0.1)
