"""`mesh.explain()` and `mesh.explained()`: by routes, overrides and contexts, across reloads and forks."""

from __future__ import annotations

import json
import os

import pytest

import meshware
from meshware.core.call import Call
from meshware.core.outcome import Outcome
from meshware.core.policy import Observer
from meshware.core.request import Request
from meshware.explain.calls import ToldCall
from meshware.mesh import Mesh
from meshware.settings.load import load

SERVICES = {
    "inventory": {
        "endpoints": [
            {"address": "10.0.0.1:80", "metadata": {"version": "1"}},
            {"address": "10.0.0.2:80", "metadata": {"version": "2"}},
        ],
        "timeout": 3.0,
    },
    "inventory-v2": {"endpoints": ["10.0.0.9:80"]},
}
ROUTES = [
    {"name": "closed", "match": {"service": "inventory", "path": "/admin"}, "respond": {"status": 403}},
    {
        "name": "beta",
        "match": {
            "service": "inventory",
            "methods": ["GET"],
            "path": {"regex": "/items/[0-9]+"},
            "query": {"beta": "yes"},
            "identity": {"prefix": "shop"},
        },
        "subset": {"metadata": {"version": "2"}},
        "timeout": 1.0,
    },
    {"name": "secret", "match": {"service": "inventory", "headers": {"authorization": {"prefix": "Basic"}}}},
    {
        "name": "canary",
        "match": {"service": "inventory", "path": {"prefix": "/items"}},
        "split": {"inventory-v2": 25, "inventory": 75},
        "sticky": {"attribute": "user"},
    },
    {"name": "older", "match": {"service": "inventory", "path": {"prefix": "/old"}}, "redirect": "inventory-v2"},
    {"name": "next", "match": {"service": "inventory-v2", "path": {"prefix": "/old"}}, "rewrite": {"prefix": "/new"}},
]


def mesh_of(keep=0, *, routes=ROUTES, observers=(), **services):
    source = {"services": SERVICES | services, "routes": routes, "explain": {"keep": keep}}
    return Mesh(load(source), observers=observers)


def unmet(told):
    return [(each.route, each.unmet, each.wanted, each.seen) for each in told.routes]


def make(mesh, path="/items", headers=None, status=200):
    """A call that is answered."""
    call = mesh.call(mesh.services["inventory"], Request("GET", "inventory", path, headers or {}))
    attempt = call.begin(mesh.clock())
    call.answered(attempt, Outcome(elapsed=0.01, status=status), mesh.clock())
    return attempt


# What would be


def test_each_route_is_told_with_the_first_thing_that_speaks_against_it():
    told = mesh_of().explain("POST", "http://inventory/items/7?beta=no")
    assert unmet(told) == [
        ("closed", "path", "exact: /admin", "'/items/7'"),
        ("beta", "method", "GET", "'POST'"),
        ("secret", "header authorization", "prefix: Basic", "(not there)"),
        ("canary", None, None, None),
    ]
    told = mesh_of().explain("GET", "http://inventory/items/7?beta=no")
    assert unmet(told)[1] == ("beta", "query beta", "exact: yes", "'no'")
    told = mesh_of().explain("GET", "http://inventory/items/x")
    assert unmet(told)[1] == ("beta", "path", "regex: /items/[0-9]+", "'/items/x'")
    told = mesh_of().explain("GET", "http://inventory/items/7?beta=yes", identity="cart")
    assert unmet(told)[1] == ("beta", "identity", "prefix: shop", "'cart'")


def test_what_authorizes_a_call_is_not_shown():
    told = mesh_of().explain("GET", "http://inventory/items", headers={"Authorization": "Bearer 12345"})
    assert unmet(told)[2][3] == "(not shown)"
    assert "12345" not in json.dumps(told.plain())


def test_a_route_has_its_say_in_the_deadline_and_where_endpoints_are_picked():
    told = mesh_of().explain("GET", "http://inventory/items/7?beta=yes", identity="shop", deadline=2.0)
    assert (told.route, told.endpoint) == ("beta", "10.0.0.2:80")
    assert (told.deadline.seconds, told.deadline.by) == (1.0, "route")
    assert told.deadline.said["inbound"] == pytest.approx(2.0, abs=0.1)
    with meshware.override(timeout=0.2):
        told = mesh_of().explain("GET", "http://inventory/items/7?beta=yes", identity="shop")
    assert (told.deadline.seconds, told.deadline.by) == (pytest.approx(0.2), "override")


def test_what_stands_above_the_services_policies_is_told_and_by_what_a_call_would_be_refused():
    own = {
        "strategy": "round_robin",
        "limits": {"in_flight": 1},
        "rate_limit": {"rate": 10.0, "burst": 5},
        "retry": {"attempts": 4},
        "hedge": False,
        "fallback": {"static": {"body": ""}},
        "faults": [{"abort": 503, "percentage": 1.0}],
    }
    mesh = mesh_of(routes=[{"name": "own", "match": {"service": "inventory", "path": "/own"}, **own}])
    told = mesh.explain("GET", "http://inventory/own")
    assert told.above == {
        "strategy": "round_robin",
        "retry": "4 attempts",
        "hedge": "off",
        "fallback": "on",
        "faults": "on",
        "limits": "0 of 1 in flight, 10 a second, 5 at once",
    }
    assert (told.attempts[0].by, told.refused) == ("strategy", None)
    assert mesh.explain("GET", "http://inventory/").above == {}
    with meshware.override(fallback=False, hedge=True):
        told = mesh.explain("GET", "http://inventory/own")  # as the service has it
    assert {"fallback", "hedge"}.isdisjoint(told.above)
    make(mesh, "/own")
    assert "1 in flight of route own, limit 1" in mesh.explain("GET", "http://inventory/own").refused


def test_a_split_is_told_with_the_key_and_where_it_stands():
    mesh = mesh_of()
    told = [mesh.explain("GET", "http://inventory/items", context={"user": user}) for user in range(40)]
    assert {each.split.service for each in told} == {"inventory", "inventory-v2"}
    for user, each in enumerate(told):
        assert each.split.key == str(user)
        assert each.split.shares == {"inventory-v2": 0.25, "inventory": 0.75}
        assert (each.split.place < 0.25) is (each.split.service == "inventory-v2") is (each.service == "inventory-v2")
    assert mesh.explain("GET", "http://inventory/items").split.key is None


def test_redirects_are_followed_and_told():
    told = mesh_of().explain("GET", "http://inventory/old/7")
    assert [(each.service, each.route) for each in told.routes if each.unmet is None] == [
        ("inventory", "older"),
        ("inventory-v2", "next"),
    ]
    assert (told.asked, told.service, told.target) == ("inventory", "inventory-v2", "/new/7")


def test_a_route_that_answers_itself_has_no_attempt():
    told = mesh_of().explain("GET", "http://inventory/admin")
    assert (told.reply, told.attempts, told.refused) == (403, [], None)


def test_a_predicate_that_raises_is_told_and_nobody_else_hears_of_it():
    def raises(context, request):
        raise KeyError("plan")

    heard = []
    watch = type("Watch", (Observer,), {"on_event": lambda self, event: heard.append(event)})()
    routes = [
        {"name": "late", "match": {"service": "inventory", "until": "2020-01-01T00:00:00Z"}, "timeout": 1.0},
        {"name": "few", "match": {"service": "inventory", "percentage": 0.0}, "timeout": 1.0},
        {"name": "pro", "match": {"service": "inventory", "predicate": raises}, "timeout": 1.0},
    ]
    mesh = mesh_of(routes=routes, observers=[watch])
    heard.clear()
    late, few, pro = mesh.explain("GET", "http://inventory/").routes
    assert late.unmet == "time"
    assert (few.unmet, few.wanted) == ("percentage", "under 0")
    assert 0 <= float(few.seen) < 100
    assert (pro.unmet, pro.seen) == ("predicate", "KeyError('plan')")
    assert (heard, mesh.plugin_failures) == ([], 0)


def test_a_url_of_nobody_is_refused_with_the_names_that_there_are():
    with pytest.raises(ValueError, match="http://inventry/ goes by no service of this mesh: inventory, inventory-v2"):
        mesh_of().explain("GET", "http://inventry/")
    with pytest.raises(ValueError, match="it has none"):
        Mesh(load({})).explain("GET", "http://inventory/")


def test_all_of_it_is_fit_for_json():
    told = mesh_of(inventory=SERVICES["inventory"] | {"strategy": {"maglev": {"key": {"header": "x-user"}}}})
    plain = told.explain("GET", "http://inventory/items/7?beta=yes", headers={"X-User": "ada"}, identity="shop").plain()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["attempts"][0]["picks"][0]["facts"]["key"] == "ada"


def test_a_predicate_or_a_context_in_force_counts():
    with meshware.request_context(deadline=0.5):
        meshware.annotate(user=7)
        told = mesh_of().explain("GET", "http://inventory/items")
        other = mesh_of().explain("GET", "http://inventory/items", context={"user": 8})
    assert (told.split.key, told.deadline.by) == ("7", "inbound")
    assert (other.split.key, other.deadline.by) == ("8", "inbound")


# What was


def test_nothing_is_kept_unless_it_is_asked_for():
    mesh = mesh_of()
    make(mesh)
    assert mesh.explained() == ()
    assert type(mesh.call(mesh.services["inventory"], Request("GET", "inventory", "/", {}))) is Call


def test_a_call_is_found_by_its_request_id():
    mesh = mesh_of(keep=10)
    made = make(mesh, headers={"x-request-id": "abc"})
    make(mesh, headers={"x-request-id": "other"})
    (told,) = mesh.explained("abc")
    assert told.endpoint == made.endpoint.address
    assert told.attempts[0].became == "200: success after 0.01 s"
    assert told.route == "canary"
    assert mesh.explained("nobody") == ()
    assert len(mesh.explained()) == 2


def test_what_the_app_says_is_as_good_as_a_header():
    mesh = mesh_of(keep=10)
    with meshware.request_context(mesh=mesh):
        meshware.annotate(request_id=42)
        make(mesh)
        make(mesh, path="/else")
    assert [each.path for each in mesh.explained("42")] == ["/items", "/else"]


def test_only_the_last_are_kept():
    mesh = mesh_of(keep=3)
    for number in range(5):
        make(mesh, path=f"/items/{number}")
    assert [each.path for each in mesh.explained()] == ["/items/2", "/items/3", "/items/4"]


def test_a_call_that_is_refused_is_kept_with_the_reason():
    mesh = mesh_of(keep=3, inventory=SERVICES["inventory"] | {"rate_limit": {"rate": 0.001, "burst": 1}})
    make(mesh, path="/else")
    with pytest.raises(meshware.MeshError):
        make(mesh, path="/else")
    assert mesh.explained()[1].refused.startswith("Overloaded")
    assert mesh.explained()[1].attempts == []


def test_a_retry_and_what_the_first_attempt_became_are_told():
    mesh = mesh_of(keep=3, routes=[])
    call = mesh.call(mesh.services["inventory"], Request("GET", "inventory", "/", {}))
    first = call.begin(mesh.clock())
    retry = call.answered(first, Outcome(elapsed=0.01, status=503), mesh.clock())
    call.answered(retry.attempt, Outcome(elapsed=0.01, status=200), mesh.clock())
    one, two = mesh.explained()[0].attempts
    assert (one.number, two.number) == (1, 2)
    assert one.then.startswith(f"Retry({two.endpoint} after")
    assert (two.after, two.then) == (pytest.approx(retry.after, abs=0.05), f"Deliver({two.endpoint})")


def test_a_reload_keeps_what_is_kept_and_switches_it_off_and_on():
    mesh = mesh_of(keep=3)
    make(mesh)
    source = {"services": SERVICES | {"inventory": SERVICES["inventory"] | {"timeout": 2.0}}, "explain": {"keep": 3}}
    mesh.reload(source)
    assert len(mesh.explained()) == 1
    mesh.reload(source | {"explain": {"keep": 0}})
    assert mesh.explained() == ()
    mesh.reload(source | {"explain": {"keep": 2}})
    make(mesh)
    assert len(mesh.explained()) == 1


def test_a_forked_child_keeps_its_own():
    mesh = mesh_of(keep=3)
    make(mesh)
    child = os.fork()
    if child == 0:
        before = len(mesh.explained())
        make(mesh)
        os._exit(10 * before + len(mesh.explained()))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert len(mesh.explained()) == 1


def test_a_fault_in_telling_never_ends_a_call(monkeypatch):
    def fails(*facts):
        raise RuntimeError("no words")

    for name in ("_note_standing", "_note_deadline", "_note_attempt", "_note_answer"):
        monkeypatch.setattr(ToldCall, name, fails)
    heard = []
    watch = type("Watch", (Observer,), {"on_event": lambda self, event: heard.append(event)})()
    mesh = mesh_of(keep=3, observers=[watch])
    assert make(mesh).endpoint is not None
    assert {each.error for each in heard if hasattr(each, "plugin")} == {"RuntimeError: no words"}
