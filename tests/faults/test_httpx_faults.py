"""Each fault, for real, through httpx and httpx2: what the caller gets, what the endpoint is charged with."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
from contextlib import contextmanager

import pytest
from clients.httpx_faces import custom_transport
from faults.behaviours import answer
from faults.exchange import Connection
from faults.upstream import endings, in_flight, never_accepting

import meshware
from meshware.core.outcome import Ending

URL = "http://inventory"
LATE = 2.0
"""Seconds after a deadline that a busy machine may need; the soak tier is strict."""


@pytest.fixture
def face(face_of, mesh):
    return face_of(mesh)


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


@pytest.mark.row("F11")
@pytest.mark.parametrize("late", [LATE, pytest.param(0.1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("path", ["drip-headers", "hole", "drip-body", "stall-body"])
def test_a_deadline_of_300_ms_holds_and_the_socket_is_let_go(face, upstream, path, late):
    with takes(0.25, 0.3 + late), pytest.raises(meshware.DeadlineExceeded) as failed:
        face.get(f"{URL}/{path}", timeout=0.3)
    assert isinstance(failed.value, face.library.TimeoutException)
    assert "0.300" in str(failed.value)
    assert upstream.let_go_within(max(0.5, late))


@pytest.mark.parametrize("path", ["drip-headers", "hole", "drip-body", "stall-body"])
def test_over_tls_too(tls_upstream, mesh_of, face_of, ca, path):
    server = tls_upstream("inventory")
    mesh = mesh_of({"tls": {"ca": ca}, "retry": {"attempts": 1}}, inventory=[server])
    face = face_of(mesh)
    face.get("https://inventory/ok")
    with takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
        face.get(f"https://inventory/{path}", timeout=0.3)
    assert server.let_go_within(LATE)
    assert in_flight(mesh) == 0


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connect_that_never_ends_ends_at_the_deadline(mesh_of, face_of, scheme):
    with never_accepting() as address:
        mesh = mesh_of({"tls": {}} if scheme == "https" else {}, inventory=[address])
        face = face_of(mesh)
        with takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
            face.get(f"{scheme}://inventory/ok", timeout=0.3)
        assert in_flight(mesh) == 0


def test_the_connect_timeout_leaves_time_for_another_endpoint(mesh_of, face_of, upstream):
    with never_accepting() as address:
        mesh = mesh_of({"connect_timeout": 0.1}, inventory=[address, upstream])
        face = face_of(mesh)
        assert [face.get(f"{URL}/ok").text for _ in range(6)] == ["ok"] * 6


def test_waiting_for_a_place_in_the_pool_is_no_time_to_connect(mesh_of, face_of, upstream):
    mesh = mesh_of({"connect_timeout": 0.1, "retry": {"attempts": 1}}, inventory=[upstream])
    face = face_of(mesh, inner=small(face_of(meshed=False)))
    held = face.stream(f"{URL}/stall-body")
    if "Async" in face.kind:

        async def both():
            waiting = asyncio.ensure_future(face.client.get(f"{URL}/ok"))
            await asyncio.sleep(0.3)
            await held.aclose()
            return (await waiting).text

        assert face.run(both()) == "ok"
    else:
        threading.Timer(0.3, held.close).start()
        assert face.get(f"{URL}/ok").text == "ok"
    assert mesh.services["inventory"].guard.failures == 0


def test_a_handshake_that_never_comes_ends_at_the_connect_timeout(mesh_of, face_of, upstream, ca):
    """The plain server reads the hello and says nothing."""
    settings = {"tls": {"ca": ca}, "connect_timeout": 0.2, "retry": {"attempts": 1}}
    face = face_of(mesh_of(settings, inventory=[upstream]))
    with takes(0.15, 0.2 + LATE), pytest.raises(face.library.ConnectTimeout):
        face.get("https://inventory/ok")
    assert upstream.let_go_within(LATE)


def test_a_handshake_that_never_comes_ends_at_the_deadline(mesh_of, face_of, upstream, ca):
    face = face_of(mesh_of({"tls": {"ca": ca}}, inventory=[upstream]))
    with takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
        face.get("https://inventory/ok", timeout=0.3)
    assert upstream.let_go_within(LATE)


def test_the_callers_own_timeouts_bound_each_part(face):
    timeouts = face.library.Timeout(0.1, read=0.2)
    with takes(0.15, 0.3 + LATE), pytest.raises(face.library.TimeoutException):
        face.get(f"{URL}/drip-headers", timeout=timeouts)
    with takes(0.15, 0.2 + LATE), pytest.raises(face.library.ReadTimeout):
        face.get(f"{URL}/hole", timeout=face.library.Timeout(5.0, read=0.2))
    assert face.get(f"{URL}/sleep/0.1", timeout=None).text == "ok"


def small(face):
    """A transport of the library's own with one connection for each endpoint."""
    kind = "AsyncHTTPTransport" if "Async" in face.kind else "HTTPTransport"
    return getattr(face.library, kind)(limits=face.library.Limits(max_connections=1))


def test_the_callers_own_pool_timeout_is_kept(mesh, face_of, upstream):
    face = face_of(mesh, inner=small(face_of(meshed=False)))
    held = face.stream(f"{URL}/stall-body")
    with takes(0.05, 0.1 + LATE), pytest.raises(face.library.PoolTimeout):
        face.get(f"{URL}/ok", timeout=face.library.Timeout(10.0, pool=0.1))
    face.close(held)
    assert face.get(f"{URL}/ok").text == "ok"
    assert mesh.services["inventory"].guard.failures == 0


def test_the_callers_own_write_timeout_is_the_clients_own(mesh_of, face_of):
    with socket.create_server(("127.0.0.1", 0)) as never_reading:
        mesh = mesh_of({"retry": {"attempts": 1}}, inventory=["{}:{}".format(*never_reading.getsockname())])
        face = face_of(mesh)
        body, timeout = b"x" * 20_000_000, face.library.Timeout(10.0, write=0.1)
        with takes(0.05, 0.1 + LATE), pytest.raises(face.library.WriteTimeout):
            face.request("POST", f"{URL}/ok", content=body, timeout=timeout)
        assert in_flight(mesh) == 0


def test_the_services_timeout_bounds_the_body(mesh_of, face_of, upstream):
    mesh = mesh_of({"timeout": 0.3}, inventory=[upstream])
    with takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
        face_of(mesh).get(f"{URL}/drip-body")
    assert in_flight(mesh) == 0


def test_the_inbound_deadline_bounds_the_call(face):
    with meshware.request_context(deadline=0.3), takes(0.25, 0.3 + LATE), pytest.raises(meshware.DeadlineExceeded):
        face.get(f"{URL}/drip-body")


@pytest.mark.parametrize("seconds", [float("inf"), 1e10])
def test_a_deadline_beyond_all_measure_is_no_error(face, seconds):
    with meshware.request_context(deadline=seconds):
        assert face.get(f"{URL}/ok").text == "ok"
    assert face.get(f"{URL}/ok", timeout=seconds).text == "ok"


def test_a_deadline_that_has_passed_sends_nothing(face, upstream):
    with meshware.request_context(deadline=0.001):
        time.sleep(0.01)
        with pytest.raises(meshware.DeadlineExceeded, match="nothing was sent"):
            face.get(f"{URL}/ok")
    assert upstream.requests == []


@pytest.mark.row("F03")
def test_an_attempt_that_is_late_is_tried_elsewhere(mesh_of, face_of, upstreams):
    slow, *rest = upstreams
    face = face_of(mesh_of({"attempt_timeout": 0.2, "strategy": "round_robin"}, inventory=upstreams))
    for server in rest:
        server.answers["hole"] = server.answers["ok"]
    for _ in range(30):
        face.get(f"{URL}/ok")
    with takes(0, 2.0):
        for _ in range(3):
            assert face.get(f"{URL}/hole", timeout=10.0).text == "ok"
    assert any(each.path == "/hole" for each in slow.requests)


@pytest.mark.row("F10")
def test_a_body_without_a_byte_is_broken_after_the_idle_limit(mesh, face):
    mesh.services["inventory"].idle = 0.2
    heard = endings(mesh)
    with takes(0.15, 0.2 + LATE), pytest.raises(face.library.ReadTimeout):
        face.get(f"{URL}/stall-body")
    assert heard() == [Ending.BROKEN]


def test_an_event_stream_may_be_silent(mesh, face, upstream):
    mesh.services["inventory"].idle = 0.1

    def quiet(connection, seen):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        connection.gone(0.3)
        connection.send(b"data: late\n\n")
        connection.gone(60)

    upstream.answers["quiet"] = quiet
    stream = face.stream(f"{URL}/quiet")
    pieces = face.pieces(stream)
    assert next(pieces) == b"data: late\n\n"
    assert mesh.services["inventory"].endpoints[0].load == pytest.approx(0.1)
    face.close(stream)


def test_a_body_cut_while_bytes_arrive_says_nothing_of_the_endpoint(mesh, face):
    heard = endings(mesh)
    with pytest.raises(meshware.DeadlineExceeded):
        face.get(f"{URL}/drip-body", timeout=0.4)
    assert heard() == [Ending.DROPPED]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_was_queued_at_the_cut_is_not_delivered_as_a_good_answer(
    tls_upstream, upstream, mesh_of, face_of, ca, scheme
):
    """The reader sleeps over its deadline while a megabyte waits for it."""
    server = upstream if scheme == "http" else tls_upstream("inventory")
    mesh = mesh_of({"tls": {"ca": ca}}, inventory=[server])
    face = face_of(mesh)
    with meshware.request_context(deadline=0.3):
        stream = face.stream(f"{scheme}://inventory/big")
        pieces = face.pieces(stream)
        assert next(pieces)
        time.sleep(0.4)
        with pytest.raises(meshware.DeadlineExceeded):
            sum(map(len, pieces))
        face.close(stream)
    assert server.let_go_within(LATE)
    assert in_flight(mesh) == 0


# Broken answers


@pytest.mark.row("F06")
@pytest.mark.parametrize("path", ["reset", "close", "reset-headers", "eof-headers", "garbage"])
def test_an_answer_that_breaks_before_its_body_is_an_error(mesh, face, path):
    with pytest.raises(face.library.TransportError) as failed:
        face.get(f"{URL}/{path}")
    assert "127.0.0.1" not in str(failed.value)
    assert mesh.services["inventory"].guard.failures > 0


def test_a_103_is_not_the_final_answer(face):
    early = face.get(f"{URL}/early")
    assert (early.status_code, early.text) == (200, "ok")
    assert face.get(f"{URL}/ok").text == "ok"


@pytest.mark.row("F08")
@pytest.mark.parametrize("path", ["short", "short-chunk", "bad-chunk", "reset-body"])
def test_a_body_that_breaks_is_an_error_and_counted_once(mesh, face, path):
    heard = endings(mesh)
    with pytest.raises(face.library.TransportError):
        face.get(f"{URL}/{path}")
    assert heard() == [Ending.BROKEN]
    assert face.get(f"{URL}/ok").text == "ok"


def test_a_kept_connection_that_the_server_closed_is_not_used(face):
    for _ in range(3):
        assert face.get(f"{URL}/close-after").text == "ok"
        time.sleep(0.02)


# Answers that nobody asked for


def echoing(framed):
    """Says back its path, framed so, and then a whole second answer that nobody asked for."""

    def behave(connection: Connection, seen):
        body = seen.path.encode()
        connection.send(framed(body))
        return True

    return behave


def sized(body):
    return answer(200, body) + answer(200, b"planted")


def chunked(body):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) + answer(200, b"planted")


def both(body):
    """Who reads by the length sees the planted answer in the chunks' trailing bytes."""
    whole = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % len(whole)
    return head + whole


def garbage(body):
    return answer(200, body) + b"\x00\xff not HTTP at all \r\n\r\n"


FRAMES = {"sized": sized, "chunked": chunked, "both": both, "garbage": garbage}


def wrong(face, url, upstream, count):
    """Answers that were another's, over so many calls; the framings take turns on one client."""
    for name, framed in FRAMES.items():
        upstream.answers[name] = echoing(framed)
    kinds = list(FRAMES)
    found = 0
    for number in range(count):
        path = f"/{kinds[number % len(kinds)]}/{number}"
        found += face.get(url + path).text != path
    return found


@pytest.mark.row("F13", "F14")
@pytest.mark.parametrize("count", [120, pytest.param(25_000, marks=pytest.mark.soak)])
def test_a_planted_answer_is_never_anothers(face, upstream, count):
    assert wrong(face, URL, upstream, count) == 0


@pytest.mark.parametrize("count", [60, pytest.param(5_000, marks=pytest.mark.soak)])
def test_a_planted_answer_is_never_anothers_over_tls(tls_upstream, mesh_of, face_of, ca, count):
    server = tls_upstream("inventory")
    face = face_of(mesh_of({"tls": {"ca": ca}}, inventory=[server]))
    assert wrong(face, "https://inventory", server, count) == 0


def test_a_planted_answer_in_a_tls_record_of_its_own_is_never_anothers(tls_upstream, mesh_of, face_of, ca):
    server = tls_upstream("inventory")

    def two_records(connection, seen):
        """Both in one segment: what comes later may come after the next request, and is nobody's to tell."""
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        connection.sock.sendall(answer(200, seen.path.encode()))
        connection.sock.sendall(answer(200, b"planted"))
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        return True

    server.answers["two"] = two_records
    face = face_of(mesh_of({"tls": {"ca": ca}}, inventory=[server]))
    for number in range(30):
        assert face.get(f"https://inventory/two/{number}").text == f"/two/{number}"


# Several endpoints


@pytest.mark.row("F01")
def test_a_dead_one_of_three_costs_the_caller_nothing(mesh_of, face_of, upstreams):
    upstreams[0].stop()
    mesh = mesh_of(inventory=upstreams)
    face = face_of(mesh)
    assert [face.get(f"{URL}/ok").text for _ in range(30)] == ["ok"] * 30
    dead = mesh.status()["inventory"][upstreams[0].address]
    assert dead["state"].startswith("ejected (connection refused)")


@pytest.mark.parametrize("path", ["status/503", "status/503?Retry-After=1", "reset", "eof-headers"])
def test_what_one_endpoint_cannot_answer_another_does(mesh_of, face_of, upstreams, path):
    bad, *good = upstreams
    for server in good:
        server.answers["status"] = server.answers["reset"] = server.answers["eof-headers"] = server.answers["ok"]
    face = face_of(mesh_of(inventory=upstreams))
    for _ in range(6):
        assert face.get(f"{URL}/{path}").text == "ok"
    assert bad.requests


@pytest.mark.row("F05", "F26")
def test_a_post_that_arrived_is_not_sent_twice(mesh_of, face_of, upstreams):
    face = face_of(mesh_of(inventory=upstreams))
    with pytest.raises(face.library.TransportError):
        face.request("POST", f"{URL}/close", content=b"order")
    assert sum(len(each.requests) for each in upstreams) == 1
    with pytest.raises(face.library.TransportError):
        face.request("POST", f"{URL}/close", content=b"order", headers={"Idempotency-Key": "1"})
    assert sum(len(each.requests) for each in upstreams) == 3


@pytest.mark.parametrize("path", ["close", "reset", "garbage", "eof-headers", "hole"])
def test_a_post_by_a_transport_of_the_users_own_is_not_sent_twice(mesh_of, face_of, upstreams, path):
    face = face_of(mesh := mesh_of(inventory=upstreams), inner=custom_transport(face_of(meshed=False)))
    with pytest.raises(face.library.TransportError):
        face.request("POST", f"{URL}/{path}", content=b"order", timeout=face.library.Timeout(5.0, read=0.2))
    assert sum(len(each.requests) for each in upstreams) == 1
    assert in_flight(mesh) == 0


def test_an_endpoint_that_never_answers_a_transport_of_the_users_own_is_charged_with_it(mesh, face_of, upstream):
    face = face_of(mesh, inner=custom_transport(face_of(meshed=False)))
    with pytest.raises(meshware.DeadlineExceeded):
        face.get(f"{URL}/hole", timeout=1.2)
    assert len(upstream.requests) == 1
    assert mesh.services["inventory"].guard.failures > 0


def test_a_refused_connection_by_a_transport_of_the_users_own_is_tried_elsewhere(mesh_of, face_of, upstreams):
    upstreams[0].stop()
    mesh = mesh_of(inventory=upstreams)
    face = face_of(mesh, inner=custom_transport(face_of(meshed=False)))
    assert [face.request("POST", f"{URL}/ok", content=b"order").text for _ in range(30)] == ["ok"] * 30
    dead = mesh.status()["inventory"][upstreams[0].address]
    assert dead["state"].startswith("ejected (connection refused)")


# Giving back


def closed(face, stream):
    face.close(stream)


def half_read(face, stream):
    pieces = face.pieces(stream)
    next(pieces)
    face.close(stream)


def dropped(face, stream):
    pass


def in_a_cycle(face, stream):
    stream.itself = stream


DROPS = [closed, half_read, dropped, in_a_cycle]


@pytest.mark.parametrize("count", [40, pytest.param(1000, marks=pytest.mark.soak)])
def test_answers_dropped_half_read(face, mesh, upstream, count):
    for number in range(count):
        DROPS[number % len(DROPS)](face, face.stream(f"{URL}/big"))
    gc.collect()
    assert in_flight(mesh) == 0
    assert face.get(f"{URL}/ok").text == "ok"  # closes what finalizers could only leave behind
    until = time.monotonic() + 2
    while upstream.open_connections > 1 and time.monotonic() < until:
        time.sleep(0.005)
    assert upstream.open_connections <= 1
    service = mesh.services["inventory"]
    service.settle(time.monotonic())
    assert service.guard.failures == 0
    assert not service.inbox
