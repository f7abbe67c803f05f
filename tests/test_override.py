"""What somebody wants of his calls here and now, and what the app says of the inbound request."""

from __future__ import annotations

import random
from threading import Thread

import pytest

import meshware
from meshware.context import current, propagate
from meshware.core.errors import PluginError
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.settings.load import load


@pytest.fixture
def mesh():
    services = {"inventory": {"endpoints": ["10.0.0.1:80"], "timeout": 3.0, "retry": {"attempts": 2}}}
    routes = [{"match": {"service": "inventory", "path": "/slow"}, "timeout": 9.0, "retry": {"attempts": 4}}]
    made = Mesh(load({"services": services, "routes": routes}), rng=random.Random(1))
    yield made
    made.close()


def plan_of(mesh, path="/"):
    return mesh.call(mesh.services["inventory"], Request("GET", "inventory", path, {})).plan


def test_calls_inside_go_by_it_and_calls_outside_do_not(mesh):
    assert plan_of(mesh) is mesh.services["inventory"]
    with meshware.override(timeout=0.2, attempts=1):
        assert (plan_of(mesh).timeout, plan_of(mesh).retry.attempts) == (0.2, 1)
        assert (plan_of(mesh, "/slow").timeout, plan_of(mesh, "/slow").retry.attempts) == (0.2, 1)
    assert plan_of(mesh) is mesh.services["inventory"]
    assert plan_of(mesh, "/slow").timeout == 9.0


def test_defaults_service_route_and_call_each_stand_above_the_one_before(mesh):
    assert mesh.settings.defaults.timeout == 10.0
    assert plan_of(mesh).timeout == 3.0
    assert plan_of(mesh, "/slow").timeout == 9.0
    with mesh.override(timeout=12.0):
        assert plan_of(mesh, "/slow").timeout == 12.0
        assert plan_of(mesh, "/slow").retry.attempts == 4


def test_of_nested_ones_the_inner_counts_where_it_says_something(mesh):
    with meshware.override(timeout=0.5, attempts=3), meshware.override(attempts=1):
        assert (plan_of(mesh).timeout, plan_of(mesh).retry.attempts) == (0.5, 1)
    with meshware.override(hedge=False), meshware.operation("named"), meshware.no_retry():
        assert plan_of(mesh).hedging is None


def test_it_goes_along_into_threads_that_take_the_context_and_into_no_other(mesh):
    seen = []
    with meshware.override(timeout=0.5):
        threads = [Thread(target=run) for run in (propagate(lambda: seen.append(plan_of(mesh).timeout)),)]
        threads.append(Thread(target=lambda: seen.append(plan_of(mesh).timeout)))
        for thread in threads:
            thread.start()
            thread.join()
    assert seen == [0.5, 3.0]


def test_a_door_that_cannot_route_still_goes_by_it(mesh):
    service, request = mesh.services["inventory"], Request("GET", "inventory", "/slow", {})
    assert mesh.call_unrouted(service, request).plan is service
    with meshware.override(timeout=0.5):
        assert mesh.call_unrouted(service, request).plan.timeout == 0.5


@pytest.mark.parametrize(
    "wrong",
    [{"timeout": 0}, {"timeout": -1}, {"timeout": float("nan")}, {"timeout": 1e9}, {"attempts": 0}, {"attempts": 11},
     {"attempts": True}, {"attempts": 1.5}, {"hedge": 2}, {"fallback": True}],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValueError), meshware.override(**wrong):
        pass
    assert current() is None


def test_what_is_said_of_a_request_holds_for_all_its_parts():
    with meshware.request_context() as context:
        with meshware.operation("part"):
            meshware.annotate(user=7)
        with meshware.request_context() as inner:
            meshware.annotate(plan="pro")
            assert inner.attributes is context.attributes
        assert context.attributes == {"user": 7, "plan": "pro"}
    meshware.annotate(user=8)  # of no request


def test_a_predicate_has_one_name_and_a_name_one_predicate():
    @meshware.predicate("test-override-one")
    def one(context, request):
        return True

    assert meshware.predicate("test-override-one")(one) is one
    with pytest.raises(PluginError, match="test-override-one"):
        meshware.predicate("test-override-one")(print)
