"""What a route may have that its service has as well: a strategy, limits, a fallback. Narrower wins, and lasts."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

import pytest

from meshware.core.call import Retry
from meshware.core.endpoint import Endpoint
from meshware.core.errors import MeshError, Overloaded
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.settings.load import load

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"
SHOP = {"endpoints": [A, B, C], "strategy": "round_robin"}
KEYED = {"ring_hash": {"key": {"header": "x-user"}}}


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def settings(*routes, shop=SHOP, **services):
    named = [{"name": "slow", "match": {"service": "shop", "path": "/slow"}, **each} for each in routes]
    return load({"services": {"shop": shop, **services}, "routes": named})


@pytest.fixture
def mesh():
    """`mesh({...})`: a mesh with this route for /slow."""
    made = []

    def make(*routes, **services):
        made.append(Mesh(settings(*routes, **services), clock=Clock()))
        made[-1]._keeper.start = lambda: None
        return made[-1]

    yield make
    for each in made:
        each.close()


def begun(mesh, path="/slow", service="shop", **headers):
    call = mesh.call(mesh.services[service], Request("GET", service, path, headers))
    return call, call.begin(mesh.clock())


def end(mesh, call, attempt, elapsed=0.01):
    call.answered(attempt, Outcome(elapsed=elapsed, status=200), mesh.clock())
    call.ended(attempt, Ending.COMPLETE, elapsed, mesh.clock())
    call.service.settle(mesh.clock())


def where(mesh, count, path="/slow", **headers):
    seen = Counter()
    for _ in range(count):
        call, attempt = begun(mesh, path, **headers)
        seen[attempt.endpoint.address] += 1
        end(mesh, call, attempt)
    return seen


def measured(mesh):
    return {type(meter).__name__ for each in mesh.services["shop"].endpoints for meter in each.readings}


# Strategy


def test_a_routes_calls_are_picked_by_its_strategy_and_the_others_by_the_services(mesh):
    pytest.importorskip("xxhash")
    shop = mesh({"strategy": KEYED})
    assert len(where(shop, 30, **{"x-user": "7"})) == 1
    assert where(shop, 30, path="/", **{"x-user": "7"}) == {A: 10, B: 10, C: 10}


def test_what_is_in_flight_is_known_once(mesh):
    shop = mesh({"strategy": "least_request"})
    busy = {begun(shop, path="/")[1].endpoint for _ in range(2)}
    assert begun(shop)[1].endpoint not in busy
    assert all(each.load == 1 for each in shop.services["shop"].endpoints)


def test_equal_meters_are_one_for_the_service_and_its_route(mesh):
    shop = mesh({"strategy": {"response_time": {"choices": 3}}}, shop=SHOP | {"strategy": "response_time"})
    where(shop, 9)
    assert all(len(each.readings) == 1 for each in shop.services["shop"].endpoints)


def test_it_follows_endpoints_that_come_and_go(mesh):
    shop = mesh({"strategy": "round_robin"}, shop=SHOP | {"strategy": "random"})
    where(shop, 1)
    shop.services["shop"].replace([Endpoint(B), Endpoint("10.0.0.9:80")], shop.clock())
    assert where(shop, 10) == {B: 5, "10.0.0.9:80": 5}


def test_it_picks_within_the_routes_subset(mesh):
    endpoints = [{"address": A, "metadata": {"v": 1}}, *({"address": each, "metadata": {"v": 2}} for each in (B, C))]
    shop = SHOP | {"endpoints": endpoints, "strategy": "random"}
    shop = mesh({"strategy": "round_robin", "subset": {"metadata": {"v": 2}}}, shop=shop)
    assert where(shop, 10) == {B: 5, C: 5}


def test_each_service_of_a_split_has_its_own(mesh):
    other = {"endpoints": ["10.0.1.1:80", "10.0.1.2:80"], "strategy": "random"}
    split = {"strategy": "round_robin", "split": {"shop-v2": 1, "shop": 1}}
    shop = mesh(split, **{"shop-v2": other})
    seen = where(shop, 400)
    assert abs(seen["10.0.1.1:80"] - seen["10.0.1.2:80"]) <= 1
    assert abs(seen[A] - seen[C]) <= 1


def test_a_retry_goes_by_it_too(mesh):
    shop = mesh({"strategy": "round_robin"})
    call, attempt = begun(shop)
    error = ConnectionError()
    step = call.answered(attempt, Outcome(elapsed=0.01, cause=Cause.REFUSED, sent=False, error=error), shop.clock())
    assert isinstance(step, Retry)
    assert step.attempt.endpoint is not attempt.endpoint


def test_a_strategy_that_watches_answers_hears_all_of_the_services(mesh):
    shop = mesh({"strategy": {"load": {"window": None, "select": "argmin"}}})
    where(shop, 1)
    held = [begun(shop, path="/") for _ in range(9)]  # three each
    for call, attempt in held:
        end(shop, call, attempt)
    last = shop.services["shop"].endpoints[2]
    (reading,) = last.samplers
    assert reading.value(shop.clock()) == 2.0  # 3, 2 and 1 in flight
    shop.reload(settings({"timeout": 1.0}))
    assert shop.services["shop"].on_answer == ()


def test_what_it_has_learned_outlives_a_reload_of_it_and_of_its_service(mesh):
    shop = mesh({"strategy": "response_time"})
    where(shop, 3)
    learner = shop.services["shop"].subsets[0].learner
    shop.reload(settings({"strategy": "response_time", "timeout": 1.0}))
    assert shop.services["shop"].subsets[0].learner is learner
    shop.reload(settings({"strategy": "response_time"}, shop=SHOP | {"timeout": 2.0}))
    assert shop.services["shop"].subsets[0].learner is learner
    where(shop, 3)
    assert measured(shop) == {"ResponseTime"}


@pytest.mark.parametrize("service", [SHOP, SHOP | {"timeout": 2.0}], ids=["the same service", "another one"])
def test_when_it_goes_nothing_is_measured_for_it_any_more(mesh, service):
    weighted = {"locality": {"mode": "weighted", "weights": {"aws": 1.0}}}
    places = {"endpoints": [{"address": each, "locality": place} for each, place in ((A, "aws"), (B, "gcp"))]}
    shop = mesh({"strategy": "response_time"}, shop=SHOP | weighted | places)
    where(shop, 3)
    where(shop, 3, path="/")
    assert measured(shop) == {"ResponseTime", "Level"}
    assert all(len(each.readings) == 3 for each in shop.services["shop"].endpoints)
    shop.reload(settings(shop=service | weighted | places))
    where(shop, 3, path="/")
    assert all(len(each.readings) == 1 for each in shop.services["shop"].endpoints)
    assert measured(shop) == {"Level"}


def test_a_meter_that_the_service_needs_as_well_stays(mesh):
    by_time = SHOP | {"strategy": "response_time"}
    shop = mesh({"strategy": {"response_time": {"choices": 3}}}, shop=by_time)
    where(shop, 3)
    shop.reload(settings(shop=by_time))
    assert measured(shop) == {"ResponseTime"}


class Moody:
    """Can be made once: for the settings, not for the calls."""

    needs = ()
    left: ClassVar[list[int]] = [1]

    def __init__(self):
        if not self.left:
            raise ValueError("not today")
        self.left.pop()

    def score(self, endpoint, call):
        return 0.0


def test_a_strategy_that_cannot_be_made_leaves_all_as_it_was(mesh, monkeypatch):
    monkeypatch.setattr("meshware.plugins._registered", {})
    monkeypatch.setattr(Moody, "left", [1])
    Mesh.register("moody", Moody)
    shop = mesh()
    before = shop.settings, shop.services["shop"]
    with pytest.raises(MeshError, match="not today"):
        shop.reload(settings({"strategy": "moody"}, shop=SHOP | {"endpoints": [A], "timeout": 1.0}))
    assert (shop.settings, shop.services["shop"]) == before
    assert where(shop, 9, path="/") == {A: 3, B: 3, C: 3}


# Limits


def test_one_limit_holds_for_all_services_of_a_split(mesh):
    shop = mesh({"limits": {"in_flight": 2}, "split": {"v2": 1, "shop": 1}}, v2={"endpoints": ["10.0.1.1:80"]})
    begun(shop), begun(shop)
    with pytest.raises(Overloaded, match="route slow"):
        begun(shop)
    begun(shop, path="/")


def test_what_is_in_flight_outlives_a_reload_and_is_given_back_after_it(mesh):
    shop = mesh({"limits": {"in_flight": 1}})
    call, attempt = begun(shop)
    shop.reload(settings({"limits": {"in_flight": 1}}, shop=SHOP | {"timeout": 2.0}))
    with pytest.raises(Overloaded):
        begun(shop)
    end(shop, call, attempt)
    begun(shop)


def test_an_override_leaves_the_limits_of_the_route(mesh):
    shop = mesh({"rate_limit": {"rate": 0.001, "burst": 1}})
    with shop.override(timeout=1.0):
        begun(shop)
        with pytest.raises(Overloaded, match="route slow"):
            begun(shop)


# Fallback


def plan(mesh, path="/slow"):
    return mesh.call(mesh.services["shop"], Request("GET", "shop", path, {})).plan


def test_a_routes_fallback_stands_in_the_place_of_the_services(mesh):
    covered = SHOP | {"fallback": {"static": {"body": "service"}}}
    assert plan(mesh(shop=covered)).fallback.static.body == b"service"
    assert plan(mesh({"timeout": 1.0}, shop=covered)).fallback.static.body == b"service"
    assert plan(mesh({"fallback": {"static": {"body": "route"}}}, shop=covered)).fallback.static.body == b"route"
    assert plan(mesh({"fallback": False}, shop=covered)).fallback is None
    assert plan(mesh({"fallback": {"static": {"body": "route"}}}), path="/").fallback is None


def test_good_answers_that_are_kept_outlive_a_reload(mesh):
    route = {"fallback": {"last_good": True}}
    shop = mesh(route)
    store = plan(shop).fallback.store
    shop.reload(settings(route, shop=SHOP | {"timeout": 2.0}))
    assert plan(shop).fallback.store is store
    shop.reload(settings({"fallback": {"last_good": {"age": 1.0}}}))
    assert plan(shop).fallback.store is not store


def test_an_override_wants_no_fallback_whoever_has_it(mesh):
    shop = mesh({"fallback": {"static": {"body": "r"}}}, shop=SHOP | {"fallback": {"static": {"body": "s"}}})
    with shop.override(fallback=False):
        assert (plan(shop).fallback, plan(shop, path="/").fallback) == (None, None)


# Hedges


def test_a_routes_hedges_go_by_its_own_values_and_else_by_the_services(mesh):
    shop = mesh({"hedge": {"factor": 4.0}}, shop=SHOP | {"hedge": {"share": 0.5}})
    assert (plan(shop).hedging._options.factor, plan(shop).hedging._options.share) == (4.0, 0.5)
    off = SHOP | {"hedge": {"enabled": False, "share": 0.5}}
    assert plan(mesh({"hedge": {"factor": 4.0}}, shop=off)).hedging is None
    assert plan(mesh({"hedge": True}, shop=off)).hedging._options.share == 0.5
    assert plan(mesh({"hedge": False})).hedging is None


def test_an_override_may_have_calls_hedged_where_that_is_off(mesh):
    shop = mesh({"hedge": False}, shop=SHOP | {"hedge": {"enabled": False, "factor": 4.0}})
    assert plan(shop, path="/").hedging is None
    with shop.override(hedge=True):
        wanted = plan(shop, path="/").hedging
        assert wanted._options.factor == 4.0
        assert plan(shop).hedging is wanted  # what it has earned is the service's
        with shop.override(hedge=False):
            assert plan(shop).hedging is None
    on = mesh()
    with on.override(hedge=True):
        assert plan(on).hedging is on.services["shop"].hedging
