"""A route's own strategy, limits and fallback, and what an override wants, through the real clients."""

from __future__ import annotations

import pytest
from clients.calling import BROKEN, at_rest, source_of

import meshware
from meshware.core.errors import DeadlineExceeded, Overloaded
from meshware.mesh import Mesh

SORRY = {"static": {"body": "sorry"}}


@pytest.fixture
def shop(client_of, upstreams):
    """`shop({...})`: a client of a service with three endpoints, and its mesh; this route is for what `/status` begins,
    `/reset`, `/ok` and the like, all but `/echo`."""
    made = []

    def make(route, **inventory):
        service = {
            "endpoints": [each.address for each in upstreams],
            "strategy": "round_robin",
            "retry": {"attempts": 1},
            **inventory,
        }
        routes = [
            {"match": {"service": "inventory", "path": "/echo"}},
            {"name": "own", "match": {"service": "inventory"}, **route},
        ]
        made.append(Mesh.from_settings({"services": {"inventory": service}, "routes": routes}))
        return client_of(made[-1]), made[-1]

    yield make
    for each in made:
        each.close()


def test_a_failure_of_the_route_has_its_answer_and_one_of_another_call_has_none(shop):
    client, mesh = shop({"fallback": SORRY})
    for path in ("reset", "status/503"):
        answer = client.get(f"http://inventory/{path}")
        assert (answer.status_code, answer.text, source_of(answer)) == (200, "sorry", "static")
    assert client.get("http://inventory/ok").text == "ok"
    assert client.get("http://inventory/status/500").status_code == 500
    assert at_rest(mesh, client)


def test_a_route_without_the_services_fallback_fails(shop):
    client, mesh = shop({"fallback": False}, fallback=SORRY)
    assert client.get("http://inventory/status/503").status_code == 503
    with pytest.raises(BROKEN):
        client.get("http://inventory/reset")
    assert at_rest(mesh, client)


def test_the_last_good_answer_of_a_route_is_kept_for_it(shop, upstreams):
    client, mesh = shop({"fallback": {"last_good": True}})
    assert client.get("http://inventory/ok").text == "ok"
    for each in upstreams:
        each.answers["ok"] = lambda connection, seen: connection.reset()
    answer = client.get("http://inventory/ok")
    assert (answer.text, source_of(answer)) == ("ok", "last-good")
    assert at_rest(mesh, client)


def test_who_wants_no_fallback_has_the_failure(shop):
    client, _ = shop({"fallback": SORRY})
    with meshware.override(fallback=False):
        assert client.get("http://inventory/status/503").status_code == 503


def test_a_call_that_is_refused_by_its_route_is_covered_by_its_fallback(shop, upstreams):
    client, _ = shop({"rate_limit": {"rate": 0.001, "burst": 1}, "fallback": SORRY})
    assert [client.get("http://inventory/ok").text for _ in range(2)] == ["ok", "sorry"]
    assert sum(len(each.requests) for each in upstreams) == 1


@pytest.mark.parametrize("path", ["ok", "status/500"])
def test_when_a_call_is_answered_the_next_one_of_the_route_has_its_place(shop, path):
    client, mesh = shop({"limits": {"in_flight": 1}, "timeout": 0.3})
    for _ in range(3):
        client.get(f"http://inventory/{path}")
        assert at_rest(mesh, client)


@pytest.mark.parametrize("path", ["reset", "garbage", "hole"])
def test_however_a_call_fails_the_next_one_of_the_route_has_its_place(shop, path):
    client, mesh = shop({"limits": {"in_flight": 1}, "timeout": 0.3})
    for _ in range(3):
        with pytest.raises((*BROKEN, DeadlineExceeded)) as failed:
            client.get(f"http://inventory/{path}")
        assert not isinstance(failed.value, Overloaded)
        assert at_rest(mesh, client)


def test_an_unread_answer_holds_its_place_until_it_is_dropped(shop, client_of):
    client, mesh = shop({"limits": {"in_flight": 1}})
    held = (
        client.session.get("http://inventory/ok", stream=True)
        if client_of.library == "requests"
        else client.stream("http://inventory/ok")
    )
    with pytest.raises(Overloaded, match="1 in flight of route own, limit 1"):
        client.get("http://inventory/ok")
    assert client.get("http://inventory/echo").status_code == 200
    held.close() if client_of.library == "requests" else client.close(held)
    assert client.get("http://inventory/ok").text == "ok"
    assert at_rest(mesh, client)


def test_calls_of_the_route_go_where_its_strategy_says(shop, upstreams):
    pytest.importorskip("xxhash")
    client, _ = shop({"strategy": {"ring_hash": {"key": {"header": "x-user"}}}})
    for _ in range(6):
        client.get("http://inventory/ok", headers={"x-user": "7"})
    assert sorted(len(each.requests) for each in upstreams) == [0, 0, 6]
    for _ in range(6):
        client.get("http://inventory/echo", headers={"x-user": "7"})
    assert sorted(len(each.requests) for each in upstreams) == [2, 2, 8]
