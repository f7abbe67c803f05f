"""Each fault, for real, through requests: what the caller gets, what the endpoint is charged with."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from faults.upstream import endings, in_flight
from urllib3.util.timeout import Timeout

import meshware
from meshware.core.outcome import Ending

URL = "http://inventory"
LATE = 2.0
"""Seconds after a deadline that a busy machine may need; the soak tier is strict."""


@pytest.fixture
def session(session_of, mesh):
    return session_of(mesh)


@pytest.fixture(autouse=True)
def nothing_in_flight(mesh):
    yield
    assert in_flight(mesh) == 0


@contextmanager
def takes(least, most):
    began = time.monotonic()
    yield
    assert least <= time.monotonic() - began <= most


# Deadlines


@pytest.mark.row("F03", "F11")
@pytest.mark.parametrize("late", [LATE, pytest.param(0.1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("path", ["drip-headers", "hole", "drip-body", "stall-body", "early-for-ever"])
def test_a_deadline_of_300_ms_holds_and_the_socket_is_let_go(session, upstream, path, late):
    if path == "early-for-ever":
        with pytest.raises(requests.ConnectionError, match="interim"):
            session.get(f"{URL}/{path}", timeout=0.3)
    else:
        with takes(0.25, 0.3 + late), pytest.raises(meshware.DeadlineExceeded) as failed:
            session.get(f"{URL}/{path}", timeout=0.3)
        assert isinstance(failed.value, requests.Timeout)
        assert "0.300" in str(failed.value)
    assert upstream.let_go_within(max(0.5, late))


@pytest.mark.parametrize("path", ["drip-headers", "hole", "drip-body", "stall-body"])
def test_over_tls_too(tls_upstream, mesh_of, session_of, authority, tmp_path, path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = tls_upstream("inventory")
    mesh = mesh_of({"tls": {"ca": str(tmp_path / "ca.pem")}, "retry": {"attempts": 1}}, inventory=[server])
    session = session_of(mesh)
    session.get("https://inventory/ok")
    with takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
        session.get(f"https://inventory/{path}", timeout=0.3)
    assert server.let_go_within(LATE)
    assert in_flight(mesh) == 0


@pytest.mark.parametrize("timeout", [0.3, (0.1, 0.2), Timeout(total=0.3), Timeout(connect=0.1, read=0.2)])
def test_the_callers_timeout_in_each_of_its_forms_bounds_the_whole_call(session, timeout):
    with takes(0.15, 0.3 + LATE), pytest.raises(requests.Timeout):
        session.get(f"{URL}/drip-headers", timeout=timeout)


def test_a_read_timeout_of_the_callers_is_the_clients_own(session):
    with takes(0.15, 0.2 + LATE), pytest.raises(requests.ReadTimeout):
        session.get(f"{URL}/hole", timeout=(5.0, 0.2))


def test_the_services_timeout_bounds_the_body(mesh_of, session_of, upstream):
    mesh = mesh_of({"timeout": 0.3}, inventory=[upstream])
    with takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
        session_of(mesh).get(f"{URL}/drip-body")
    assert in_flight(mesh) == 0


def test_the_inbound_deadline_bounds_the_call(session):
    with meshware.request_context(deadline=0.3), takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
        session.get(f"{URL}/drip-body")


@pytest.mark.parametrize("seconds", [float("inf"), 1e10])
def test_a_deadline_beyond_all_measure_is_no_error(session, seconds):
    with meshware.request_context(deadline=seconds):
        assert session.get(f"{URL}/ok").text == "ok"


def test_a_timeout_beyond_all_measure_is_no_error(session):
    assert session.get(f"{URL}/ok", timeout=1e10).text == "ok"


@pytest.mark.row("F50")
def test_a_deadline_that_has_passed_sends_nothing(session, upstream):
    with meshware.request_context(deadline=0.001):
        time.sleep(0.01)
        with pytest.raises(meshware.DeadlineExceeded, match="nothing was sent"):
            session.get(f"{URL}/ok")
    assert upstream.requests == []


def test_a_streamed_answer_is_not_cut_while_bytes_arrive(session):
    with session.get(f"{URL}/events", stream=True, timeout=0.2) as answer:
        began = time.monotonic()
        lines = answer.iter_lines(chunk_size=1)
        while time.monotonic() - began < 0.4:
            next(lines)


@pytest.mark.row("F10")
def test_a_body_without_a_byte_is_broken_after_the_idle_limit(mesh, session):
    mesh.services["inventory"].idle = 0.2
    heard = endings(mesh)
    with takes(0.15, 0.2 + LATE), pytest.raises(requests.ConnectionError, match="Read timed out"):
        session.get(f"{URL}/stall-body")
    assert heard() == [Ending.BROKEN]


def test_an_event_stream_may_be_silent(mesh, session, upstream):
    mesh.services["inventory"].idle = 0.1

    def quiet(connection, seen):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        connection.gone(0.3)
        connection.send(b"data: late\n\n")
        connection.gone(60)

    upstream.answers["quiet"] = quiet
    with session.get(f"{URL}/quiet", stream=True) as answer:
        lines = answer.iter_lines(chunk_size=1)
        assert next(lines) == b"data: late"
        assert mesh.services["inventory"].endpoints[0].load == pytest.approx(0.1)


def test_a_body_cut_while_bytes_arrive_says_nothing_of_the_endpoint(mesh, session):
    heard = endings(mesh)
    with pytest.raises(meshware.DeadlineExceeded):
        session.get(f"{URL}/drip-body", timeout=0.4)
    assert heard() == [Ending.DROPPED]


# Broken answers


@pytest.mark.row("F06")
@pytest.mark.parametrize("path", ["reset", "close", "reset-headers", "eof-headers", "garbage", "huge-headers"])
def test_an_answer_that_breaks_before_its_body_is_an_error(mesh, session, path):
    with pytest.raises(requests.ConnectionError) as failed:
        session.get(f"{URL}/{path}")
    assert "127.0.0.1" not in str(failed.value)
    assert mesh.services["inventory"].guard.failures > 0


def test_requests_alone_takes_headers_cut_short_for_an_empty_answer(upstream):
    """Why this is ours to see."""
    assert requests.get(f"http://{upstream.address}/eof-headers").status_code == 200


def test_a_103_is_not_the_final_answer(session):
    answer = session.get(f"{URL}/early")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert session.get(f"{URL}/ok").text == "ok"


@pytest.mark.row("F08")
@pytest.mark.parametrize("path", ["short", "short-chunk", "bad-chunk", "reset-body"])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_that_breaks_is_an_error_and_counted_once(mesh, session, path, streamed):
    heard = endings(mesh)
    with pytest.raises(requests.RequestException):
        b"".join(session.get(f"{URL}/{path}", stream=streamed).iter_content(3))
    assert heard() == [Ending.BROKEN]
    assert session.get(f"{URL}/ok").text == "ok"


def test_a_body_read_raw_breaks_too(mesh, session):
    heard = endings(mesh)
    with (
        session.get(f"{URL}/bad-chunk", stream=True) as answer,
        pytest.raises(Exception, match=r"(?i)incomplete|invalid"),
    ):
        answer.raw.read()
    assert heard() == [Ending.BROKEN]
    with session.get(f"{URL}/chunked", stream=True) as answer:
        assert answer.raw.read() == b"abcdef"
    assert heard()[1:] == [Ending.COMPLETE]


def test_an_answer_without_a_body_has_ended_at_its_headers(mesh, session):
    heard = endings(mesh)
    answer = session.get(f"{URL}/status/204", stream=True)
    assert heard() == [Ending.COMPLETE]
    answer.close()


@pytest.mark.row("F14")
def test_a_planted_second_answer_is_never_the_next_calls(session, upstream):
    for _ in range(3):
        assert session.get(f"{URL}/planted").text == "ok"
        assert session.get(f"{URL}/ok").text == "ok"


@pytest.mark.row("F07")
def test_a_kept_connection_that_the_server_closed_is_not_used(session):
    for _ in range(3):
        assert session.get(f"{URL}/close-after").text == "ok"
        time.sleep(0.02)


# Several endpoints


@pytest.mark.row("F01")
def test_a_dead_one_of_three_costs_the_caller_nothing(mesh_of, session_of, upstreams):
    upstreams[0].stop()
    mesh = mesh_of(inventory=upstreams)
    session = session_of(mesh)
    assert [session.get(f"{URL}/ok").text for _ in range(30)] == ["ok"] * 30
    dead = mesh.status()["inventory"][upstreams[0].address]
    assert dead["state"].startswith("ejected (connection refused)")


def test_it_is_back_by_a_background_connect(mesh_of, session_of, upstreams):
    from faults.upstream import Upstream

    upstreams[0].stop()
    mesh = mesh_of({"ejection": {"probe_interval": 0.05}}, inventory=upstreams)
    session = session_of(mesh)
    for _ in range(10):
        session.get(f"{URL}/ok")
    with Upstream(port=upstreams[0].port) as back:
        until = time.monotonic() + 5
        while "ejected" in mesh.status()["inventory"][back.address]["state"] and time.monotonic() < until:
            time.sleep(0.02)
        assert "ejected" not in mesh.status()["inventory"][back.address]["state"]
        while not back.requests and time.monotonic() < until:
            session.get(f"{URL}/ok")
        assert back.requests


@pytest.mark.parametrize("path", ["status/503", "status/503?Retry-After=1", "reset", "eof-headers"])
def test_what_one_endpoint_cannot_answer_another_does(mesh_of, session_of, upstreams, path):
    bad, *good = upstreams
    for server in good:
        server.answers["status"] = server.answers["reset"] = server.answers["eof-headers"] = server.answers["ok"]
    session = session_of(mesh_of(inventory=upstreams))
    for _ in range(6):
        assert session.get(f"{URL}/{path}").text == "ok"
    assert bad.requests


@pytest.mark.row("F05", "F26")
def test_a_post_that_arrived_is_not_sent_twice(mesh_of, session_of, upstreams):
    session = session_of(mesh_of(inventory=upstreams))
    with pytest.raises(requests.ConnectionError):
        session.post(f"{URL}/close", data=b"order")
    assert sum(len(each.requests) for each in upstreams) == 1
    with pytest.raises(requests.ConnectionError):
        session.post(f"{URL}/close", data=b"order", headers={"Idempotency-Key": "1"})
    assert sum(len(each.requests) for each in upstreams) == 3


@pytest.mark.row("F30")
def test_a_tier_that_has_retried_is_not_asked_again(mesh_of, session_of, upstreams):
    session = session_of(mesh_of(inventory=upstreams))
    assert session.get(f"{URL}/status/503?X-Meshware-Retried=1").status_code == 503
    assert sum(len(each.requests) for each in upstreams) == 1


# Ourselves


@pytest.mark.row("F24")
def test_without_descriptors_no_endpoint_is_blamed(upstream):
    program = f"""
import resource, socket, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import requests
from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter
mesh = Mesh.from_settings({{"services": {{"inventory": {{"endpoints": ["{upstream.address}"]}}}}}})
session = requests.Session()
session.mount("http://", MeshAdapter(mesh))
assert session.get("http://inventory/close-after").text == "ok"
session.close()
held = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        held.append(socket.socket())
except OSError:
    pass
try:
    session.get("http://inventory/ok")
    sys.exit("no error")
except requests.ConnectionError as error:
    assert "Too many open files" in str(error), error
for sock in held:
    sock.close()
service = mesh.services["inventory"]
assert service.guard.failures == 0
assert mesh.status()["inventory"]["{upstream.address}"] == {{"state": "available", "in_flight": 0, "weight": 1.0}}
assert session.get("http://inventory/ok").text == "ok"
"""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 64
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_was_queued_at_the_cut_is_not_delivered_as_a_good_answer(
    tls_upstream, upstream, mesh_of, session_of, authority, tmp_path, scheme
):
    """The reader sleeps over its deadline while a megabyte waits for it."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server = upstream if scheme == "http" else tls_upstream("inventory")
    mesh = mesh_of({"tls": {"ca": str(tmp_path / "ca.pem")}}, inventory=[server])
    with meshware.request_context(deadline=0.3):
        answer = session_of(mesh).get(f"{scheme}://inventory/big", stream=True)
        chunks = answer.iter_content(1000)
        assert next(chunks) == b"x" * 1000
        time.sleep(0.4)
        with pytest.raises(meshware.DeadlineExceeded):
            sum(map(len, chunks))
    assert server.let_go_within(LATE)
    assert in_flight(mesh) == 0
