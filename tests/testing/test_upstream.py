"""The public faulty server: each thing that it can be told to do, as a plain client sees it."""

from __future__ import annotations

import threading
import time

import pytest
import requests

from meshware.testing import FaultyUpstream
from meshware.testing.upstream import Received


@pytest.fixture
def server():
    with FaultyUpstream() as server:
        yield server


def ask(server, method="GET", **options):
    return requests.request(method, f"http://{server.address}/items?a=1", timeout=5, **options)


def test_it_answers_and_keeps_what_it_was_asked(server):
    assert ask(server).text == "ok"
    ask(server, "POST", data=b"new", headers={"X-A": "1"})
    first, second = server.requests
    assert first == Received("GET", "/items?a=1", first.headers, b"")
    assert (second.method, second.body, second.headers["x-a"]) == ("POST", b"new", "1")


def test_a_head_has_no_body(server):
    answer = ask(server, "HEAD")
    assert (answer.headers["content-length"], answer.content) == ("2", b"")


def test_it_answers_what_it_is_told(server):
    server.answer({"items": []}, headers={"X-Shop": "1"})
    answer = ask(server)
    assert (answer.json(), answer.headers["x-shop"]) == ({"items": []}, "1")
    server.answer(b"raw", status=201)
    assert (ask(server).content, ask(server).status_code) == (b"raw", 201)


def test_it_fails_until_it_is_healed(server):
    server.answer("fine")
    server.misbehave(status=503)
    assert (ask(server).status_code, ask(server).text) == (503, "fine")
    server.heal()
    assert (ask(server).status_code, ask(server).text) == (200, "fine")


def test_it_may_be_slow(server):
    server.misbehave(delay=0.1)
    began = time.monotonic()
    ask(server)
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize("fault", [{"reset": True}, {"partial_body": 1}])
def test_its_connections_break(server, fault):
    server.misbehave(**fault)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(server)


def test_it_hangs_until_it_stops(server):
    server.misbehave(hang=True)
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"http://{server.address}", timeout=0.1)
    ended = []

    def wait():
        with pytest.raises(requests.ConnectionError):
            ask(server)
        ended.append(True)

    waiting = threading.Thread(target=wait)
    waiting.start()
    while len(server.requests) < 2:
        time.sleep(0.005)
    server.stop()
    waiting.join(5)
    assert ended == [True]


def test_it_refuses_while_it_is_stopped_and_is_back_at_its_address(server):
    address = server.address
    with requests.Session() as session:
        session.get(f"http://{address}")
        server.stop()
        server.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(f"http://{address}")
        server.start()
        server.start()
        assert server.address == address
        assert session.get(f"http://{address}").text == "ok"
