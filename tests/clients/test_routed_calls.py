"""Routed calls through real clients beyond where they go: answers, errors, TLS, retries, transports of the user's."""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest
from clients.calling import source_of
from clients.httpx_faces import custom_transport

import meshware
from meshware.core import errors
from meshware.mesh import Mesh


@pytest.fixture
def town():
    """`town([servers of inventory], {...}, ..., v2=[servers])`: a mesh with these routes; closed at the end."""
    made = []

    def make(inventory, *routes, v2=(), **settings):
        services = {"inventory": {"endpoints": [each.address for each in inventory], **settings}}
        if v2:
            services["inventory-v2"] = {"endpoints": [each.address for each in v2], **settings}
        made.append(Mesh.from_settings({"services": services, "routes": list(routes)}))
        return made[-1]

    yield make
    for mesh in made:
        mesh.close()


def route(path="/", *, prefix=True, **actions):
    return {"match": {"service": "inventory", "path": {"prefix" if prefix else "exact": path}}, **actions}


def test_an_answers_headers_are_changed(town, client_of, upstream):
    edits = {"set": {"X-Set": "1"}, "add": {"x-add": "b"}, "remove": ["x-gone"]}
    mesh = town([upstream], route(response_headers=edits))
    answer = client_of(mesh).get("http://inventory/status/200?x-add=a&x-gone=1&x-kept=1")
    assert (answer.headers["x-set"], answer.headers["x-add"], answer.headers["x-kept"]) == ("1", "a, b", "1")
    assert "x-gone" not in answer.headers
    assert answer.text == "as asked"


def test_an_answer_that_nobody_sent_is_the_clients_own(town, client_of, upstream):
    mesh = town([upstream], route(respond={"status": 202, "headers": {"x-a": "1"}, "body": {"taken": True}}))
    answer = client_of(mesh).get("http://inventory/jobs")
    assert (answer.status_code, answer.json(), answer.headers["x-a"]) == (202, {"taken": True}, "1")
    assert source_of(answer, "x-meshware-route") == "route"
    assert source_of(answer) is None
    assert upstream.requests == []


def test_the_url_and_cookies_are_those_of_the_name_that_was_called(town, client_of, upstreams):
    mesh = town(upstreams[:1], route(split={"inventory-v2": 1}, rewrite={"template": "/status/200"}), v2=upstreams[1:2])
    answer = client_of(mesh).get("http://inventory/login?Set-Cookie=seen%3D1")
    assert str(answer.url).startswith("http://inventory/login")
    assert answer.cookies["seen"] == "1"
    assert [len(each.requests) for each in upstreams] == [0, 1, 0]


def test_a_route_may_forbid_retries_and_a_call_too(town, client_of, upstreams):
    mesh = town(upstreams, route("/503", retry=False), retry={"attempts": 3, "base": 0.001, "cap": 0.001})
    client = client_of(mesh)
    assert client.get("http://inventory/503").status_code == 503
    assert sum(len(each.requests) for each in upstreams) == 1
    client.get("http://inventory/status/503")
    assert sum(len(each.requests) for each in upstreams) == 4
    with meshware.override(attempts=1):
        client.get("http://inventory/status/503")
    assert sum(len(each.requests) for each in upstreams) == 5


@pytest.mark.parametrize("override", [False, True])
def test_a_timeout_of_a_route_or_of_a_call_ends_it(town, client_of, upstream, override):
    mesh = town([upstream], *([] if override else [route("/hole", timeout=0.2)]))
    client, began = client_of(mesh), time.monotonic()
    within = meshware.override(timeout=0.2) if override else nullcontext()
    with within, pytest.raises(errors.DeadlineExceeded, match=r"0\.200 s"):
        client.get("http://inventory/hole")
    assert 0.2 <= time.monotonic() - began < 5.0


def test_a_routes_fault_befalls_in_the_place_of_the_services(town, client_of, upstream):
    mesh = town(
        [upstream], route("/own", faults=[{"abort": 418}]), route("/spared", faults=[]), faults=[{"abort": 503}]
    )
    client = client_of(mesh)
    statuses = [client.get(f"http://inventory/{path}").status_code for path in ("own", "spared", "other")]
    assert statuses == [418, 200, 503]


def test_the_fallback_is_that_of_the_service_that_was_asked_in_the_end(town, client_of, upstreams):
    mesh = town(
        upstreams[:1],
        route("/503", split={"inventory-v2": 1}),
        v2=upstreams[1:2],
        fallback={"static": {"body": "no items"}},
        retry={"attempts": 1},
    )
    answer = client_of(mesh).get("http://inventory/503")
    assert (answer.status_code, answer.text, source_of(answer)) == (200, "no items", "static")
    assert [len(each.requests) for each in upstreams[:2]] == [0, 1]


def test_a_subset_without_endpoints_is_the_clients_own_error(town, client_of, upstream):
    mesh = town([upstream], route(subset={"metadata": {"version": "9"}}))
    with pytest.raises(errors.NoEndpoint, match="version=9"):
        client_of(mesh).get("http://inventory/ok")


def test_tls_is_that_of_the_service_and_the_name_that_was_called(client_of, tls_upstream, ca):
    own, other = tls_upstream("inventory"), tls_upstream("inventory")
    services = {
        "inventory": {"endpoints": [own.address], "tls": {"ca": ca}},
        "inventory-v2": {"endpoints": [other.address], "tls": {"ca": ca}},
        "plain": {"endpoints": [other.address]},
    }
    routes = [route("/v2", split={"inventory-v2": 1}), route("/plain", split={"plain": 1})]
    mesh = Mesh.from_settings({"services": services, "routes": routes})
    try:
        client = client_of(mesh)
        assert client.get("https://inventory/v2").status_code == 200
        assert [each.server_name for each in other.requests] == ["inventory"]
        with pytest.raises(errors.InsecureService, match="plain"):
            client.get("https://inventory/plain")
        assert client.get("https://inventory/ok").status_code == 200
        assert len(own.requests) == 1
    finally:
        mesh.close()


def test_a_transport_of_the_users_own_is_given_the_rewritten_request(town, face_of, upstreams):
    mesh = town(
        upstreams[:1],
        route("/v2", split={"inventory-v2": 1}, rewrite={"prefix": "/"}, request_headers={"remove": ["x-gone"]}),
        v2=upstreams[1:2],
    )
    face = face_of(mesh)
    mine = face_of(mesh, inner=custom_transport(face))
    answer = mine.get("http://inventory/v2/echo?a=1", headers={"x-gone": "1"})
    assert answer.json()["target"] == "/echo?a=1"
    assert {"x-mine", "host"} <= answer.json()["headers"].keys()
    assert "x-gone" not in answer.json()["headers"]
    assert len(upstreams[1].requests) == 1


def test_a_predicate_that_raises_leaves_the_call_alone(town, client_of, upstream):
    def broken(context, request):
        raise RuntimeError("what a predicate throws")

    mesh = town([upstream], {"match": {"service": "inventory", "predicate": broken}, "respond": {"status": 500}})
    assert client_of(mesh).get("http://inventory/ok").text == "ok"
    assert mesh.plugin_failures == 1


def test_a_reload_puts_other_routes_in_force(town, client_of, upstream):
    mesh = town([upstream])
    client = client_of(mesh)
    settings = {"services": {"inventory": {"endpoints": [upstream.address]}}}
    assert client.get("http://inventory/ok").status_code == 200
    mesh.reload(settings | {"routes": [route(respond={"status": 418})]})
    assert client.get("http://inventory/ok").status_code == 418
    with pytest.raises(errors.SettingsError):
        mesh.reload(settings | {"routes": [route(split={"nobody": 1})]})
    assert client.get("http://inventory/ok").status_code == 418
    mesh.reload(settings)
    assert client.get("http://inventory/ok").status_code == 200


def test_instrumented_clients_are_routed_too(town, upstream):
    import requests

    from meshware.outbound import requests as door

    mesh = town([upstream], route("/v2", rewrite={"prefix": "/"}))
    door.instrument(lambda: mesh)
    try:
        assert requests.get("http://inventory/v2/echo", timeout=5).json()["target"] == "/echo"
    finally:
        door.uninstrument()
