"""Faults that need a server told to misbehave: what requests, httpx2 and httpx get of them, and who is charged."""

from __future__ import annotations

import random
import time

import pytest
from clients.httpx_faces import FACES
from faults.behaviours import answer
from faults.upstream import in_flight

import meshware

URL = "http://inventory"
LATE = 2.0
"""Seconds after a deadline that a busy machine may need."""


@pytest.fixture
def caller(caller_of, mesh):
    yield caller_of(mesh)
    assert in_flight(mesh) == 0


def arrived(servers):
    return sum(len(each.requests) for each in servers)


LATE_ATTEMPTS = {"attempt_timeout": 0.2, "timeout": 8.0, "retry": {"base": 80_000.0, "cap": 80_000.0}}
"""Nearly every back-off is longer than the call has."""


def says_which_deadline(ask, upstreams):
    """What of an attempt's timeout, and then of the call's, whoever calls gets to read."""
    for server in upstreams:
        server.turn("hole")
    with pytest.raises(meshware.DeadlineExceeded) as caught:
        ask("GET", f"{URL}/ok")
    assert caught.value.attempt_timeout == pytest.approx(0.2, abs=0.1)
    assert "attempt 1 of 2 had no answer within 0.2" in str(caught.value)
    with pytest.raises(meshware.DeadlineExceeded) as caught:
        ask("POST", f"{URL}/ok", timeout=0.1)
    assert caught.value.attempt_timeout is None
    assert "deadline of 0.100 s exceeded" in str(caught.value)


def test_an_error_says_whether_an_attempts_time_was_over_or_the_calls(mesh_of, caller_of, upstreams):
    says_which_deadline(caller_of(mesh_of(LATE_ATTEMPTS, inventory=upstreams)).ask, upstreams)


@pytest.mark.parametrize("face", ["httpx2-async", "httpx-async"])
def test_an_error_of_an_async_client_says_so_too(mesh_of, upstreams, face):
    client = FACES[face](mesh_of(LATE_ATTEMPTS, inventory=upstreams))
    says_which_deadline(client.request, upstreams)
    client.end()


@pytest.mark.row("F07")
@pytest.mark.parametrize("fault", ["reset-kept", "closed-idle"])
def test_a_kept_connection_that_breaks_as_it_is_used_again_costs_a_get_nothing(mesh_of, caller_of, upstreams, fault):
    upstreams[0].turn(fault)
    caller = caller_of(mesh_of({"ejection": {"enabled": False}}, inventory=upstreams))
    for _ in range(20):
        assert caller.get(f"{URL}/ok").text == "ok"
        time.sleep(0.03)


@pytest.mark.row("F07")
def test_a_post_on_a_kept_connection_that_breaks_is_sent_once_or_never_read(mesh_of, caller_of, upstreams):
    for server in upstreams:
        server.turn("reset-kept")
    caller = caller_of(mesh_of({"ejection": {"enabled": False}, "circuit": {"enabled": False}}, inventory=upstreams))
    for number in range(8):
        try:
            caller.ask("POST", f"{URL}/{number}", b"order")
        except caller.error:
            continue
    paths = [each.path for server in upstreams for each in server.requests]
    assert sorted(paths) == sorted(set(paths))


@pytest.mark.row("F09")
def test_a_half_closed_connection_is_an_error_at_once(caller, upstream):
    upstream.turn("half-closed")
    began = time.monotonic()
    with pytest.raises(caller.error):
        caller.get(f"{URL}/ok")
    assert time.monotonic() - began < LATE
    assert upstream.let_go_within(LATE)


@pytest.mark.row("F12")
@pytest.mark.parametrize("seeds", [60, pytest.param(10_000, marks=pytest.mark.soak)])
def test_bytes_that_are_not_http_are_the_clients_own_error_and_its_connection_is_dropped(
    mesh_of, caller_of, upstream, seeds
):
    rng = random.Random(1)

    def noise(connection, seen):
        connection.send(rng.randbytes(rng.randrange(1, 200)))
        return False

    upstream.answers["noise"] = noise
    rules = {"ejection": {"enabled": False}, "circuit": {"enabled": False}, "limits": {"enabled": False}}
    caller = caller_of(mesh := mesh_of({"retry": {"attempts": 1}, **rules}, inventory=[upstream]))
    for _ in range(seeds):
        with pytest.raises(caller.error):
            caller.get(f"{URL}/noise")
    assert caller.get(f"{URL}/ok").text == "ok"
    assert mesh.services["inventory"].guard.failures > 0
    assert in_flight(mesh) == 0


@pytest.mark.row("F13")
@pytest.mark.parametrize("fault", ["bad-status", "two-lengths", "both-framings"])
def test_who_frames_an_answer_twice_or_not_at_all_never_spoils_the_next_one(caller, upstream, fault):
    for _ in range(5):
        try:
            assert caller.get(f"{URL}/{fault}").text in ("ok", "2\r\nok\r\n0\r\n\r\n"[:12])
        except caller.error:
            pass  # as well
        assert caller.get(f"{URL}/echo").json()["target"] == "/echo"


@pytest.mark.row("F15")
def test_a_flood_of_interim_answers_ends(caller):
    began = time.monotonic()
    with pytest.raises(caller.error):
        caller.get(f"{URL}/flood", timeout=1.0)
    assert time.monotonic() - began < 2 * 1.0 + LATE  # to connect, and to read


@pytest.mark.row("F16")
@pytest.mark.parametrize("fault", ["huge-headers", "many-headers"])
def test_headers_beyond_all_measure_are_an_error_or_read_and_end(caller, fault):
    began = time.monotonic()
    try:
        assert caller.get(f"{URL}/{fault}").status_code == 200
    except caller.error:
        pass  # where the client has a limit
    assert time.monotonic() - began < LATE
    assert caller.get(f"{URL}/ok").text == "ok"


@pytest.mark.row("F17")
def test_a_bomb_is_not_opened_by_us(mesh_of, session_of, upstream):
    """The answer's body is the caller's to read: raw, it is 64 KiB, however much it would be."""
    mesh = mesh_of(inventory=[upstream])
    with session_of(mesh).get(f"{URL}/gzip-bomb", stream=True) as packed:
        assert len(packed.raw.read(decode_content=False)) < 100_000
    assert in_flight(mesh) == 0


@pytest.mark.row("F18")
def test_an_answer_before_the_body_was_read_is_the_answer_and_its_connection_is_not_used_again(
    mesh_of, caller_of, upstream
):
    caller = caller_of(mesh := mesh_of(inventory=[upstream]))
    upstream.turn("answered-early")
    for _ in range(2):
        try:
            assert caller.ask("POST", f"{URL}/ok", b"x" * 5_000_000).status_code == 413
        except caller.error:
            pass  # the client was still sending, and looks for no answer then
    upstream.heal()
    assert caller.get(f"{URL}/ok").text == "ok"
    assert in_flight(mesh) == 0


@pytest.mark.row("F19")
def test_when_all_say_503_at_once_the_budget_ends_the_retries_and_the_circuit_the_calls(mesh_of, caller_of, upstreams):
    for server in upstreams:
        server.turn("503")
    mesh = mesh_of(
        {"circuit": {"span": 0.1, "calls": 10, "base": 30}, "limits": {"enabled": False}}, inventory=upstreams
    )
    caller, seen = caller_of(mesh), []
    for _ in range(100):
        try:
            seen.append(caller.get(f"{URL}/ok").status_code)
        except meshware.CircuitOpen:
            seen.append("open")
        time.sleep(0.005)
    assert set(seen) == {503, "open"}
    assert seen[-1] == "open"
    assert arrived(upstreams) <= seen.count(503) + 3


@pytest.mark.row("F22")
@pytest.mark.parametrize("fault", ["syn-lost", "hole", "unaccepted"])
def test_a_way_that_vanishes_in_the_midst_of_calls_is_left(mesh_of, caller_of, upstreams, fault):
    settings = {"connect_timeout": 0.2, "attempt_timeout": 0.2, "timeout": 10.0}
    caller = caller_of(mesh := mesh_of(settings, inventory=upstreams))
    for _ in range(20):
        caller.get(f"{URL}/ok")
    upstreams[0].turn(fault)
    assert [caller.get(f"{URL}/ok").text for _ in range(30)] == ["ok"] * 30
    assert in_flight(mesh) == 0


@pytest.mark.row("F23")
def test_when_all_are_slow_nobody_is_ejected(mesh_of, caller_of, upstreams):
    caller = caller_of(mesh := mesh_of(inventory=upstreams))
    for _ in range(30):
        caller.get(f"{URL}/ok")
    for server in upstreams:
        server.answers["ok"] = server.answers["sleep"]
    for _ in range(4):
        assert caller.get(f"{URL}/sleep/0.4").text == "ok"
    assert {each["state"] for each in mesh.status()["inventory"].values()} == {"available"}


@pytest.mark.row("F29")
def test_an_answer_of_which_the_caller_has_seen_some_is_never_tried_again(mesh_of, caller_of, upstreams):
    caller = caller_of(mesh := mesh_of(inventory=upstreams))
    for server in upstreams:
        server.answers["some"] = lambda connection, seen: connection.send(answer(200, b"x" * 100)[:-50]) and False
    with pytest.raises(caller.error):
        caller.get(f"{URL}/some")
    assert arrived(upstreams) == 1
    assert in_flight(mesh) == 0


@pytest.mark.row("F20")
@pytest.mark.parametrize("said", ["-1", "1e308", "nan", "Thu, 01 Jan 1970 00:00:00 GMT", "999999999"])
def test_an_absurd_retry_after_holds_nobody_up(mesh_of, caller_of, upstreams, said):
    for server in upstreams:
        server.answers["busy"] = lambda connection, seen: connection.send(answer(503, b"", Retry_After=said))
    caller = caller_of(mesh := mesh_of(inventory=upstreams))
    began = time.monotonic()
    assert caller.get(f"{URL}/busy").status_code == 503
    assert time.monotonic() - began < LATE
    held = [until for each in mesh.services["inventory"].endpoints for until in each.bars.values()]
    assert all(until < time.monotonic() + 13 for until in held)


@pytest.mark.row("F38")
def test_a_storm_of_404_is_nobodys_failure(mesh_of, caller_of, upstreams):
    caller = caller_of(mesh := mesh_of(inventory=upstreams))
    assert {caller.get(f"{URL}/status/404").status_code for _ in range(60)} == {404}
    assert {each["state"] for each in mesh.status()["inventory"].values()} == {"available"}


@pytest.mark.row("F48")
def test_a_name_that_is_nobodys_is_the_clients_own_affair(mesh_of, caller_of, upstream):
    caller = caller_of(mesh_of(inventory=[upstream]))
    assert caller.get(f"http://{upstream.address}/ok").text == "ok"
    with pytest.raises(caller.error):
        caller.get("http://inventory.invalid/ok")
