"""Automatic mode for httpx and httpx2: every client of the process, and nothing of it left afterwards."""

from __future__ import annotations

import pytest

import meshware

URL = "http://inventory"


@pytest.fixture
def mesh(mesh_of, upstream):
    return mesh_of(inventory=[upstream])


@pytest.fixture
def face(face_of):
    """A client as anybody makes it."""
    return face_of(meshed=False)


@pytest.fixture
def instrumented(face, mesh):
    """The process instrumented with this mesh."""
    kinds = (face.library.Client, face.library.AsyncClient)
    before = [each._transport_for_url for each in kinds]
    yield meshware.instrument(lambda: mesh)
    meshware.uninstrument()
    assert [each._transport_for_url for each in kinds] == before


def test_clients_made_before_and_after_are_meshed(face, face_of, mesh, upstream):
    meshware.instrument(lambda: mesh)
    try:
        assert face.get(f"{URL}/ok").text == "ok"
        assert face_of(meshed=False).get(f"{URL}/ok").text == "ok"
    finally:
        meshware.uninstrument()
    with pytest.raises(face.library.ConnectError):
        face.get(f"{URL}/ok", timeout=1)
    assert len(upstream.requests) == 2


def test_instrumenting_twice_is_once_and_the_last_mesh_counts(instrumented, face, mesh_of, upstream):
    other = mesh_of(pricing=[upstream])
    meshware.instrument(lambda: other)
    assert face.get("http://pricing/ok").text == "ok"
    with pytest.raises(face.library.ConnectError):
        face.get(f"{URL}/ok", timeout=1)
    assert len(upstream.requests) == 1


def test_a_tool_around_us_is_neither_lost_nor_meshed_when_we_go(monkeypatch, face, mesh, upstream):
    kind = type(face.client)
    meshware.instrument(lambda: mesh)
    ours, told = kind._transport_for_url, []

    def telling(client, url):
        told.append(str(url))
        return ours(client, url)

    monkeypatch.setattr(kind, "_transport_for_url", telling)
    meshware.instrument(lambda: mesh)
    assert face.get(f"{URL}/ok").text == "ok"
    meshware.uninstrument()
    assert kind._transport_for_url is telling
    with pytest.raises(face.library.ConnectError):
        face.get(f"{URL}/ok", timeout=1)
    assert told == [f"{URL}/ok"] * 2
    monkeypatch.undo()
    meshware.uninstrument()
    assert len(upstream.requests) == 1


def test_a_tool_that_was_there_before_us_comes_back(monkeypatch, face, mesh):
    kind, library = type(face.client), face.library
    mocked = library.MockTransport(lambda request: library.Response(299))

    def there(client, url):
        return mocked

    monkeypatch.setattr(kind, "_transport_for_url", there)
    meshware.instrument(lambda: mesh)
    assert face.get("http://elsewhere.invalid/").status_code == 299
    meshware.uninstrument()
    assert kind._transport_for_url is there


def test_an_explicit_transport_is_meshed_once_while_instrumented(instrumented, face_of, mesh, upstream):
    assert face_of(mesh).get(f"{URL}/echo").json()["headers"]["host"] == "inventory"
    assert len(upstream.requests) == 1


def test_proxies_of_the_environment_are_for_others(monkeypatch, instrumented, face_of):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    face = face_of(meshed=False)
    assert face.get(f"{URL}/echo").json()["headers"]["host"] == "inventory"
    with pytest.raises(face.library.ConnectError):
        face.get("http://elsewhere.example/", timeout=2)


def test_a_transport_mounted_for_that_very_host_is_left_alone(instrumented, face_of, face):
    library = face.library
    mock = library.MockTransport(lambda request: library.Response(418))
    assert face_of(meshed=False, mounts={"http://inventory": mock}).get(f"{URL}/ok").status_code == 418


def test_a_transport_mounted_for_everything_leads_to_the_endpoints(instrumented, face_of, face):
    library = face.library
    kind = library.AsyncHTTPTransport if "Async" in face.kind else library.HTTPTransport
    client = face_of(meshed=False, mounts={"all://": kind()})
    assert client.get(f"{URL}/ok").text == "ok"


def test_a_mock_is_left_alone(instrumented, face_of, face):
    library = face.library
    mock = library.MockTransport(lambda request: library.Response(418))
    assert face_of(meshed=False, transport=mock).get(f"{URL}/ok").status_code == 418


def test_other_hosts_pass_through_untouched(instrumented, face, upstream):
    headers = face.get(f"http://{upstream.address}/echo").json()["headers"]
    assert headers["host"] == upstream.address
    assert not any(name.startswith("x-meshware") for name in headers)


def test_closing_a_client_closes_its_mesh_connections(instrumented, face, upstream):
    face.get(f"{URL}/ok")
    assert upstream.open_connections == 1
    face.run(face.client.aclose() if "Async" in face.kind else face.client.close())
    assert upstream.let_go_within(2.0)


def test_two_names_over_tls_share_nothing_in_automatic_mode_either(face_of, mesh_of, tls_upstream, ca):
    server = tls_upstream("inventory")
    mesh = mesh_of({"tls": {"ca": ca}}, inventory=[server], billing=[server])
    face = face_of(meshed=False)
    meshware.instrument(lambda: mesh)
    try:
        assert face.get("https://inventory/ok").text == "ok"
        with pytest.raises(face.library.ConnectError):
            face.get("https://billing/ok")
    finally:
        meshware.uninstrument()
    assert len(server.requests) == 1
