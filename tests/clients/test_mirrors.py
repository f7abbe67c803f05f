"""Mirrored calls through real clients: what arrives at the mirror, what never does, and that no caller notices."""

from __future__ import annotations

import gzip
import time
from threading import Event

import pytest
from clients.calling import at_rest
from faults.behaviours import BEHAVIOURS, answer
from meanwhile import resident

from meshware.core.availability import Bar
from meshware.core.policy import Observer
from meshware.mesh import Mesh

BIG = 2**30


class Ear(Observer):
    """`mirrored`: what became of copies."""

    def __init__(self):
        self.mirrored = []
        self.done = Event()

    def on_mirror(self, call, mirrored, now):
        self.mirrored.append(mirrored)
        self.done.set()


@pytest.fixture
def mirrored():
    """`mirrored(primary, target, **mirror)`: a mesh whose calls are copied there, and its ear; closed at the end."""
    made = []

    def make(primary, target, *, shadow=None, **mirror):
        services = {
            "inventory": {"endpoints": [primary.address]},
            "shadow": {"endpoints": [getattr(target, "address", target)], **(shadow or {})},
        }
        route = {"name": "copied", "match": {"service": "inventory"}, "mirror": {"service": "shadow", **mirror}}
        ear = Ear()
        made.append(Mesh.from_settings({"services": services, "routes": [route]}, observers=[ear]))
        return made[-1], ear

    yield make
    for mesh in made:
        mesh.close()


def until(holds, within=5.0):
    """Whether that is so soon."""
    end = time.monotonic() + within
    while not holds() and time.monotonic() < end:
        time.sleep(0.005)
    return holds()


def test_a_copy_says_what_the_call_has_said_but_for_credentials(mirrored, client_of, upstreams):
    mesh, _ear = mirrored(*upstreams[:2])
    secrets = {"Authorization": "Bearer 1", "Cookie": "a=1", "X-Api-Key": "1", "X-Kept": "1"}
    answer = client_of(mesh).request("POST", "http://inventory/echo?a=%20b", headers=secrets, data={"a": "1"})
    assert answer.status_code == 200
    assert until(lambda: upstreams[1].requests)
    (seen,), (copy,) = upstreams[0].requests, upstreams[1].requests
    assert (
        (copy.method, copy.target, copy.body)
        == (seen.method, seen.target, seen.body)
        == ("POST", "/echo?a=%20b", b"a=1")
    )
    assert copy.headers["host"] == "inventory-shadow"
    assert {"authorization", "cookie", "x-api-key", "x-kept"} & copy.headers.keys() == {"x-kept"}
    assert copy.headers["content-type"] == seen.headers["content-type"]
    assert at_rest(mesh)


def test_which_headers_a_copy_goes_without_is_set_and_so_is_its_host(mirrored, client_of, upstreams):
    mesh, _ear = mirrored(*upstreams[:2], without=["X-Secret"], host="copies:81")
    client_of(mesh).get("http://inventory/ok", headers={"Authorization": "kept", "x-secret": "1"})
    assert until(lambda: upstreams[1].requests)
    (copy,) = upstreams[1].requests
    assert copy.headers["host"] == "copies:81"
    assert copy.headers["authorization"] == "kept"
    assert "x-secret" not in copy.headers


def test_a_copy_goes_where_and_how_the_routes_have_sent_the_call(client_of, upstreams):
    primary, target, _ = upstreams
    service = {"endpoints": [primary.address]}
    route = {
        "match": {"service": "inventory", "path": {"prefix": "/v1"}},
        "split": {"inventory-v2": 1},
        "rewrite": {"prefix": "/ok", "host": "shop.example:8080"},
        "request_headers": {"set": {"x-set": "1"}, "remove": ["x-gone"]},
        "mirror": {"service": "shadow"},
    }
    services = {"inventory": service, "inventory-v2": service, "shadow": {"endpoints": [target.address]}}
    mesh = Mesh.from_settings({"services": services, "routes": [route]})
    try:
        client_of(mesh).get("http://inventory/v1/items", headers={"x-gone": "1"})
        assert until(lambda: target.requests)
        (copy,) = target.requests
        assert (copy.target, copy.headers["host"]) == ("/ok/items", "shop.example-shadow:8080")
        assert copy.headers["x-set"] == "1"
        assert "x-gone" not in copy.headers
    finally:
        mesh.close()


def test_a_copy_is_a_call_of_the_mirrors_service_and_of_no_other(mirrored, client_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2], shadow={"ejection": {"consecutive": 1}, "retry": {"attempts": 3}})
    upstreams[1].turn("reset")
    assert client_of(mesh).get("http://inventory/ok").status_code == 200
    assert ear.done.wait(5.0)
    (copy,) = ear.mirrored
    assert (copy.route, copy.service, copy.dropped, copy.alike) == ("copied", "shadow", None, None)
    assert copy.outcome.status is None
    assert len(upstreams[1].requests) == 1  # not retried
    assert mesh.status()["inventory"][upstreams[0].address]["state"] == "available"
    assert mesh.services["inventory"].guard.failures == 0
    assert mesh.services["shadow"].guard.failures > 0
    assert mesh.mirrors() == [
        {"route": "copied", "service": "shadow", "sent": 1, "failed": 1, "alike": 0, "unlike": 0, "dropped": {}}
    ]
    assert at_rest(mesh)


def test_a_call_that_has_failed_is_copied_too(mirrored, client_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2], compare="body")
    upstreams[0].turn("refused")
    with pytest.raises(Exception):  # noqa: B017 each client's own
        client_of(mesh).get("http://inventory/ok")
    assert ear.done.wait(5.0)
    assert ear.mirrored[0].outcome.status == 200
    assert ear.mirrored[0].alike is None


def pieces():
    yield b"some"
    yield b"thing"


async def pieces_async():
    for each in pieces():
        yield each


def test_a_body_that_is_not_in_memory_or_is_long_is_not_copied(mirrored, client_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2], max_body=4)
    client = client_of(mesh)
    body = "content" if client_of.library != "requests" else "data"
    streamed = pieces_async() if client_of.is_async else pieces()
    for each in (streamed, b"12345", b"1234"):
        client.request("PUT", "http://inventory/ok", **{body: each})
    assert until(lambda: len(ear.mirrored) == 3)
    assert sorted(each.dropped for each in ear.mirrored if each.dropped) == ["long", "streamed"]
    assert [each.body for each in upstreams[1].requests] == [b"1234"]
    assert mesh.mirrors()[0]["dropped"] == {"streamed": 1, "long": 1}


def test_so_many_of_a_hundred_are_copied(mirrored, session_of, upstreams):
    mesh, _ear = mirrored(*upstreams[:2], percentage=30, waiting=1000)
    session = session_of(mesh)
    for _ in range(200):
        session.get("http://inventory/ok")
    assert until(lambda: mesh.mirrors()[0]["sent"] == len(upstreams[1].requests))
    assert 34 < len(upstreams[1].requests) < 86  # 4 sigma


# Compared


@pytest.mark.parametrize(
    ("compare", "path", "other", "alike"),
    [
        ("status", "/ok", "/ok", True),
        ("status", "/ok", "/status/503", False),
        ("body", "/ok", "/ok", True),
        ("body", "/ok", "/status/200", False),
        ("body", "/chunked", "/chunked", True),
        ("body", "/big", "/big", None),
        (lambda primary, copy: primary.body + copy.body == b"okas asked", "/ok", "/status/200", True),
    ],
)
def test_answers_are_compared_as_asked(mirrored, client_of, upstreams, compare, path, other, alike):
    mesh, ear = mirrored(*upstreams[:2], compare=compare)
    upstreams[1].answers |= {
        path.split("/")[1]: lambda connection, seen: answered(upstreams[1], connection, seen, other)
    }
    client_of(mesh).get(f"http://inventory{path}")
    assert ear.done.wait(5.0)
    assert ear.mirrored[0].alike is alike
    assert mesh.mirrors()[0]["alike" if alike else "unlike"] == (alike is not None)


def answered(server, connection, seen, path):
    """As another path is answered."""
    seen.target = path
    return BEHAVIOURS[path.split("/")[1]](connection, seen)


def test_what_is_compressed_for_the_caller_is_compared_as_it_is_meant(mirrored, client_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2], compare="body")
    upstreams[0].answers["ok"] = lambda connection, seen: connection.send(
        answer(200, gzip.compress(b"ok"), Content_Encoding="gzip")
    )
    assert client_of(mesh).get("http://inventory/ok").text == "ok"
    assert ear.done.wait(5.0)
    assert ear.mirrored[0].alike is True


def test_a_comparison_that_raises_disturbs_nobody_and_is_told(mirrored, session_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2], compare=lambda primary, copy: 1 / 0)
    assert session_of(mesh).get("http://inventory/ok").text == "ok"
    assert until(lambda: mesh.plugin_failures == 1)
    assert [each.alike for each in ear.mirrored] == [None]


# What the mirror does to nobody


@pytest.mark.parametrize("fault", ["refused", "hole", "drip-headers", "drip-body", "stall-body", "flood", "bad-chunk"])
def test_a_broken_mirror_holds_up_no_call(mirrored, client_of, upstreams, fault):
    mesh, ear = mirrored(*upstreams[:2], waiting=2, timeout=0.3)
    upstreams[1].turn(fault)
    client = client_of(mesh)
    for _ in range(20):
        assert client.get("http://inventory/ok").text == "ok"
    counts = mesh.mirrors()[0]
    assert until(lambda: len(ear.mirrored) == 20), counts
    assert until(lambda: at_rest(mesh, within=0.1))


def test_a_full_queue_returns_at_once(mirrored, client_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2], waiting=3, timeout=2.0)
    held = Event()
    upstreams[1].answers["ok"] = lambda connection, seen: held.wait(10.0) and None
    client = client_of(mesh)
    try:
        for number in range(1, 31):
            client.get("http://inventory/ok")
            until(lambda sent=number: len(upstreams[1].requests) == min(4, sent))
        assert len(upstreams[1].requests) == 4
        assert [each.dropped for each in ear.mirrored] == ["full"] * 23  # told by the call itself, before it returned
        assert mesh.mirrors()[0] | {"sent": 0} == {
            "route": "copied", "service": "shadow", "sent": 0, "failed": 0, "alike": 0, "unlike": 0,
            "dropped": {"full": 23},
        }  # fmt: skip
    finally:
        held.set()


def endless(connection, seen):
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % BIG)
    while connection.send(bytes(65_536)):
        pass


def test_an_answer_of_a_gibibyte_is_let_go_after_its_first_bytes(mirrored, session_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2], max_answer=65_536)
    upstreams[1].answers["ok"] = endless
    session = session_of(mesh)
    session.get("http://inventory/ok")
    ear.done.wait(5.0)
    before = resident()
    for _ in range(50):
        session.get("http://inventory/ok")
    assert until(lambda: len(ear.mirrored) == 51, within=20.0)
    assert resident() - before < 16 * 2**20
    assert upstreams[1].let_go_within(5.0)
    assert {each.outcome.status for each in ear.mirrored if each.dropped is None} == {200}


def test_connections_to_the_mirror_are_kept_and_a_stale_one_is_not_used(mirrored, session_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2])
    session = session_of(mesh)
    for number, path in enumerate(("ok", "closed-idle", "ok"), 1):
        session.get(f"http://inventory/{path}")
        assert until(lambda wanted=number: len(ear.mirrored) == wanted)
        time.sleep(0.05)
    assert {each.outcome.status for each in ear.mirrored} == {200}
    assert len(upstreams[1].connections) == 2


def test_a_service_of_which_none_may_be_used_gets_no_copy(mirrored, session_of, upstreams):
    mesh, ear = mirrored(*upstreams[:2])
    for endpoint in mesh.services["shadow"].endpoints:
        endpoint.availability.bar(Bar.HELD)
    session_of(mesh).get("http://inventory/ok")
    assert ear.done.wait(5.0)
    assert ear.mirrored[0].dropped == "NoEndpoint"


# TLS


@pytest.mark.parametrize(("name", "status"), [("shadow", 200), ("elsewhere", None)])
def test_a_mirror_over_tls_is_verified_by_its_services_name(
    mirrored, session_of, upstream, tls_upstream, ca, name, status
):
    mesh, ear = mirrored(upstream, tls_upstream(name), shadow={"tls": {"ca": ca}})
    session_of(mesh).get("http://inventory/ok")
    assert ear.done.wait(5.0)
    assert ear.mirrored[0].outcome.status == status


def test_what_went_over_tls_is_not_copied_in_plain_text(client_of, upstream, tls_upstream, ca, session_of):
    services = {
        "inventory": {"endpoints": [tls_upstream("inventory").address], "tls": {"ca": ca}},
        "shadow": {"endpoints": [upstream.address]},
    }
    route = {"match": {"service": "inventory"}, "mirror": {"service": "shadow"}}
    mesh = Mesh.from_settings({"services": services, "routes": [route]})
    try:
        assert session_of(mesh).get("https://inventory/ok").status_code == 200
        assert mesh.mirrors()[0]["dropped"] == {"insecure": 1}
        assert upstream.requests == []
    finally:
        mesh.close()


# What a reload keeps


def test_a_mirror_of_the_same_settings_goes_on_after_a_reload(mirrored, session_of, upstreams):
    mesh, _ear = mirrored(*upstreams[:2])
    session = session_of(mesh)
    session.get("http://inventory/ok")
    assert until(lambda: mesh.mirrors()[0]["sent"] == 1)
    settings = mesh.settings.model_dump(exclude_unset=True)
    settings["services"]["shadow"]["endpoints"] = [{"address": upstreams[2].address}]
    settings["services"]["shadow"]["timeout"] = 3.0
    mesh.reload(settings)
    session.get("http://inventory/ok")
    assert until(lambda: mesh.mirrors()[0]["sent"] == 2)
    assert len(upstreams[2].requests) == 1
    settings["routes"][0]["mirror"][0]["percentage"] = 50
    mesh.reload(settings)
    assert mesh.mirrors()[0]["sent"] == 0
