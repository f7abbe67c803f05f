"""A call whose first attempt is late has a second beside it: through each client, over real sockets."""

from __future__ import annotations

import ssl
import threading
import time

import pytest
import requests
from clients.calling import at_rest
from core.policies import Hedging
from faults.behaviours import answer

import meshware

URL = "http://inventory/ok"
SETTINGS = {
    "strategy": "round_robin",
    "hedge": {"share": 1.0},
    "retry": {"budget": {"minimum": 1000}},
    "timeout": 3.0,
    "attempt_timeout": None,
}


class Surely:
    """Every draw is for a hedge, whatever became of those before on a busy machine."""

    def random(self):
        return 0.0


@pytest.fixture
def mesh(mesh_of, upstreams, request):
    """Every call is hedged after 10 ms: when that is worth it is seen in tests/retrying."""
    retry = SETTINGS["retry"] | getattr(request, "param", {})
    made = mesh_of(SETTINGS | {"retry": retry}, inventory=upstreams[:2])
    service = made.services["inventory"]
    service.hedging, service.rng = Hedging(after=0.01), Surely()
    return made


@pytest.fixture
def face(client_of, mesh):
    return client_of(mesh)


@pytest.fixture
def slow(mesh, face, upstreams):
    """`slow(behaviour)`: both are connected, and the first of the two does this from now on."""
    for _ in range(4):
        assert face.get(URL).text == "ok"

    def turn(behaviour):
        upstreams[0].answers["ok"] = behaviour
        return upstreams[0]

    return turn


def hole(connection, seen):
    connection.gone(10)


def asked_again(server, before, within=2.0):
    """Whether it has more requests than before; a busy one may read them when their calls are over."""
    until = time.monotonic() + within
    while len(server.requests) <= before and time.monotonic() < until:
        time.sleep(0.005)
    return len(server.requests) > before


def test_the_second_is_delivered_where_the_first_gets_no_answer_and_the_first_is_cut(mesh, face, slow):
    sick = slow(hole)
    before = len(sick.requests)
    for _ in range(4):
        began = time.monotonic()
        assert face.get(URL).text == "ok"
        assert time.monotonic() - began < 1.0
    assert asked_again(sick, before)
    face.get(URL)
    assert at_rest(mesh, face)
    assert not mesh.services["inventory"].endpoints[0].bars  # to have lost is no failure


def test_where_hedging_is_off_calls_are_hedged_for_who_wants_it(mesh, face, slow):
    service = mesh.services["inventory"]
    service.hedging, service.hedging_wanted = None, service.hedging
    sick = slow(hole)
    before = len(sick.requests)
    with meshware.override(hedge=True, timeout=2.0):
        assert [face.get(URL).text for _ in range(4)] == ["ok"] * 4
    assert asked_again(sick, before)
    assert at_rest(mesh, face)


def test_the_first_is_delivered_where_it_answers_first_after_all(mesh, face, slow, upstreams):
    slow(lambda connection, seen: time.sleep(0.2) or connection.send(answer(200, b"late")))
    upstreams[1].answers["ok"] = hole
    texts = {face.get(URL).text for _ in range(3)}
    assert texts == {"late"}
    assert at_rest(mesh, face)


def test_where_the_first_fails_while_the_second_is_out_that_is_waited_for(mesh, face, slow, upstreams):
    slow(lambda connection, seen: time.sleep(0.2) or connection.send(answer(503, b"no")))
    upstreams[1].answers["ok"] = lambda connection, seen: time.sleep(0.4) or connection.send(answer(200, b"yes"))
    assert [face.get(URL).text for _ in range(4)] == ["yes"] * 4
    assert at_rest(mesh, face)


@pytest.mark.parametrize("mesh", [{"attempts": 1}], indirect=True)
@pytest.mark.parametrize("first_to_fail", ["the answer", "the connection"])
def test_where_both_fail_the_answer_that_there_is_is_delivered(mesh, face, slow, upstreams, first_to_fail):
    early, late = (0.2, 0.4) if first_to_fail == "the answer" else (0.4, 0.2)
    slow(lambda connection, seen: time.sleep(early) or connection.send(answer(503, b"no")))
    upstreams[1].answers["ok"] = lambda connection, seen: time.sleep(late) or connection.reset()
    assert face.get(URL).text == "no"
    assert at_rest(mesh, face)


def test_a_post_is_never_out_twice_nor_is_what_has_a_body(mesh, face, slow):
    sick = slow(lambda connection, seen: time.sleep(0.06) or connection.send(answer(200, b"late")))
    before = sum(each.method == "POST" for each in sick.requests)
    for method in ("POST", "GET"):
        for _ in range(2):
            assert face.request(method, URL, data={"x": "1"} if method == "POST" else None).status_code == 200
    assert sum(each.method == "POST" for each in sick.requests) == before + 1
    assert at_rest(mesh, face)


def test_what_a_loser_still_sends_reaches_nobody(mesh, face, slow):
    slow(lambda connection, seen: time.sleep(0.04) or connection.send(answer(200, b"stale")))
    for _ in range(6):
        assert face.get(URL).text in ("ok", "stale")
        time.sleep(0.05)
    assert at_rest(mesh, face)


def test_hedges_of_many_threads_leave_nothing_behind(mesh, session_of, upstreams):
    session = session_of(mesh)
    upstreams[0].answers["ok"] = lambda connection, seen: time.sleep(0.05) or connection.send(answer(200, b"late"))
    wrong = []

    def calls():
        for _ in range(20):
            try:
                assert session.get(URL).text in ("ok", "late")
            except (requests.RequestException, AssertionError) as error:
                wrong.append(error)

    threads = [threading.Thread(target=calls) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert wrong == []
    assert at_rest(mesh)


@pytest.mark.untraced
def test_once_it_is_known_what_an_answer_takes_a_late_one_is_hedged_by_itself(mesh_of, client_of, upstreams):
    mesh = mesh_of(SETTINGS, inventory=upstreams[:2])
    mesh.services["inventory"].rng = Surely()
    client = client_of(mesh)
    for _ in range(250):
        assert client.get(URL).text == "ok"
    upstreams[0].answers["ok"] = hole
    assert [client.get(URL).text for _ in range(2)] == ["ok", "ok"]  # one of the two began there


def test_a_connect_may_take_longer_than_the_first_attempt_has_before_it_is_hedged(
    mesh_of, tls_upstream, ca, session_of, face_of, monkeypatch
):
    server = tls_upstream("inventory")
    mesh = mesh_of(SETTINGS | {"tls": {"ca": ca}, "retry": {"attempts": 1}}, inventory=[server])
    mesh.services["inventory"].hedging = Hedging(after=0.01)
    clients = [session_of(mesh), face_of(mesh)]
    shake = ssl.SSLSocket.do_handshake

    def slowly(sock, *args):
        if sock.server_side:
            time.sleep(0.1)
        return shake(sock, *args)

    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", slowly)
    server.answers["ok"] = lambda connection, seen: connection.send(answer(200, b"ok", Connection="close")) and False
    for client in clients:
        assert [client.get("https://inventory/ok").text for _ in range(3)] == ["ok"] * 3
