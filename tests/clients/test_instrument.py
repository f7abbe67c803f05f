"""Automatic mode: every session of the process, and nothing of it left afterwards."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from unittest import mock

import httpx2
import pytest
import requests
from faults.upstream import in_flight
from requests.adapters import HTTPAdapter

import meshware
from meshware.context import request_context
from meshware.outbound.instrument import Httpx2Client, HttpxClient, RequestsClient
from meshware.outbound.requests import MeshAdapter

URL = "http://inventory"
NAMES = ("send", "get_connection_with_tls_context", "close")


@pytest.fixture
def mesh(mesh_of, upstream):
    return mesh_of(inventory=[upstream])


@pytest.fixture
def instrumented(mesh):
    """The process instrumented with this mesh."""
    before = {name: getattr(HTTPAdapter, name) for name in NAMES}
    yield meshware.instrument(lambda: mesh)
    meshware.uninstrument()
    assert {name: getattr(HTTPAdapter, name) for name in NAMES} == before


def test_the_clients_that_are_there_are_named(instrumented):
    assert instrumented == ("httpx", "httpx2", "requests")
    assert RequestsClient().find() is requests


def test_plain_calls_and_sessions_made_before_are_meshed(mesh, upstream):
    with requests.Session() as old:
        meshware.instrument(lambda: mesh)
        try:
            assert old.get(f"{URL}/ok").text == "ok"
            assert requests.get(f"{URL}/ok").text == "ok"
        finally:
            meshware.uninstrument()
        with pytest.raises(requests.ConnectionError):
            old.get(f"{URL}/ok", timeout=1)


def test_instrumenting_twice_is_once_and_the_last_mesh_counts(instrumented, mesh_of, upstream):
    other = mesh_of(pricing=[upstream])
    meshware.instrument(lambda: other)
    assert requests.get("http://pricing/ok").text == "ok"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{URL}/ok", timeout=1)
    assert len(upstream.requests) == 1
    meshware.uninstrument()
    meshware.uninstrument()


def mocked(self, request, **_options):
    """What tools for tests put in the place of `HTTPAdapter.send`."""
    answer = requests.Response()
    answer.status_code, answer._content = 299, b"mocked"
    return answer


STRANGER = "http://elsewhere.invalid/"


def test_a_mock_that_came_after_us_stays_when_instrumented_again(instrumented, mesh):
    with mock.patch.object(HTTPAdapter, "send", mocked):
        meshware.instrument(lambda: mesh)
        assert requests.get(STRANGER).status_code == requests.get(f"{URL}/ok").status_code == 299
        meshware.uninstrument()
        assert requests.get(STRANGER).status_code == 299
    meshware.instrument(lambda: mesh)
    assert requests.get(f"{URL}/ok").text == "ok"


def test_a_mock_that_was_there_before_us_is_called_underneath(mesh, session_of, upstream):
    own = HTTPAdapter.send
    with mock.patch.object(HTTPAdapter, "send", mocked):
        meshware.instrument(lambda: mesh)
        assert requests.get(STRANGER).status_code == requests.get(f"{URL}/ok").status_code == 299
        assert session_of(mesh).get(f"{URL}/ok").text == "mocked"
        assert in_flight(mesh) == 0
        meshware.uninstrument()
        assert HTTPAdapter.send is mocked
    assert HTTPAdapter.send is own
    assert upstream.requests == []


def test_a_mock_that_ended_after_we_came_leaves_the_librarys_own(mesh, session_of):
    try:
        with mock.patch.object(HTTPAdapter, "send", mocked):
            meshware.instrument(lambda: mesh)
        assert session_of(mesh).get(f"{URL}/ok").text == "ok"
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{URL}/ok", timeout=1)
        meshware.instrument(lambda: mesh)
        assert requests.get(f"{URL}/ok").text == "ok"
    finally:
        meshware.uninstrument()


def test_a_tool_around_us_is_neither_lost_nor_meshed_when_we_go(monkeypatch, mesh, upstream):
    meshware.instrument(lambda: mesh)
    ours, told = HTTPAdapter.send, []

    def telling(self, request, *args, **options):
        told.append(request.url)
        return ours(self, request, *args, **options)

    monkeypatch.setattr(HTTPAdapter, "send", telling)
    assert requests.get(f"{URL}/ok").text == "ok"
    meshware.uninstrument()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{URL}/ok", timeout=1)
    meshware.instrument(lambda: mesh)
    assert requests.get(f"{URL}/ok").text == "ok"
    assert told == [f"{URL}/ok"] * 3
    monkeypatch.undo()
    meshware.uninstrument()
    assert len(upstream.requests) == 2


def test_an_explicit_adapter_is_meshed_once_while_instrumented(instrumented, session_of, mesh, upstream):
    assert session_of(mesh).get(f"{URL}/echo").json()["headers"]["host"] == "inventory"
    assert len(upstream.requests) == 1


def test_the_mesh_is_looked_up_at_each_call(mesh_of, upstream, mesh):
    other = mesh_of(pricing=[upstream])
    meshware.instrument()
    try:
        with request_context(mesh=mesh):
            assert requests.get(f"{URL}/ok").text == "ok"
        with request_context(mesh=other):
            assert requests.get("http://pricing/ok").text == "ok"
            with pytest.raises(requests.ConnectionError):
                requests.get(f"{URL}/ok", timeout=1)
    finally:
        meshware.uninstrument()


def test_the_default_mesh_serves_calls_without_a_context(mesh, upstream):
    mesh.install()
    with requests.Session() as session:
        session.mount("http://", MeshAdapter())
        assert session.get(f"{URL}/ok").text == "ok"
    mesh.close()
    with requests.Session() as session:
        session.mount("http://", MeshAdapter())
        assert session.get(f"http://{upstream.address}/ok").text == "ok"


def test_a_call_made_while_a_body_is_sent_is_a_call_of_its_own(instrumented, mesh, upstream):
    def body():
        yield requests.get(f"{URL}/ok").content
        yield requests.get(f"http://{upstream.address}/ok").content

    assert requests.post(f"{URL}/echo", data=body()).json()["body"] == "okok"


def test_closing_a_session_closes_its_mesh_connections(instrumented, upstream):
    with requests.Session() as session:
        session.get(f"{URL}/ok")
        assert upstream.open_connections == 1
    assert upstream.let_go_within(2.0)


def test_a_client_that_is_not_installed_is_left_out(monkeypatch):
    for name in ("requests", "httpx"):
        monkeypatch.setitem(sys.modules, name, None)
    assert RequestsClient().find() is None
    assert meshware.instrument(lambda: None) == ("httpx2",)
    meshware.uninstrument()


def test_a_client_under_anothers_name_is_instrumented_once(monkeypatch):
    """As `httpx2.alias_httpx()` leaves it."""
    monkeypatch.setitem(sys.modules, "httpx", httpx2)
    assert HttpxClient().find() is None
    assert Httpx2Client().find() is httpx2


def test_a_client_that_is_installed_but_broken_says_so(monkeypatch, tmp_path):
    from meshware.outbound import instrument

    (tmp_path / "half_a_client.py").write_text("import no_such_part\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_part"):
        instrument._installed("half_a_client")


def told_by(program, *arguments):
    """What a program of its own prints."""
    command = [sys.executable, "-c", textwrap.dedent(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_a_client_that_the_app_does_not_use_is_not_imported():
    program = """
        import sys, meshware
        print(*meshware.instrument(), *({"requests", "urllib3", "httpx", "httpx2", "httpcore"} & {*sys.modules}))
        meshware.uninstrument()
    """
    assert told_by(program) == "httpx httpx2 requests"


LATER = """
    import sys, meshware
    mesh = meshware.Mesh.from_settings({"services": {"inventory": {"endpoints": [sys.argv[1]]}}})
"""


@pytest.mark.parametrize("client", ["requests", "httpx", "httpx2"])
@pytest.mark.parametrize("way", ["import {0}", "import meshware.outbound.{0}, {0}"])
def test_a_client_that_is_imported_later_is_instrumented_then(client, way, upstream):
    """Also where the app imports our door, which imports the client itself."""
    program = f"""{LATER}
    meshware.instrument(lambda: None)
    meshware.instrument(lambda: mesh)
    {way.format(client)}
    print({client}.get("http://inventory/ok").text)
    meshware.uninstrument()
    try:
        {client}.get("http://inventory/ok")
    except {client}.{"ConnectionError" if client == "requests" else "ConnectError"}:
        print("gone")
    """
    assert told_by(program, upstream.address) == "ok\ngone"


def test_what_was_undone_before_the_import_is_not_done_by_it(upstream):
    program = f"""{LATER}
    for _ in range(3):
        meshware.instrument(lambda: mesh)
        meshware.uninstrument()
    import requests
    print("meshware.outbound.requests" in sys.modules)
    meshware.instrument(lambda: mesh)
    print(requests.get("http://inventory/ok").text)
    """
    assert told_by(program, upstream.address) == "False\nok"


def test_a_client_that_cannot_be_instrumented_can_be_imported_all_the_same(tmp_path):
    """And why it is not is told."""
    (tmp_path / "requests.py").write_text("VERSION = 0\n")
    program = """
        import sys, meshware
        sys.path.insert(0, sys.argv[1])
        meshware.instrument()
        import requests
        print(requests.VERSION)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "0\n"
    assert "requests is not instrumented: ModuleNotFoundError" in ran.stderr
