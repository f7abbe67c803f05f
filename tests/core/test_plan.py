"""Plans: what a route or an override says stands above the service's, and what nobody says is the service's."""

from __future__ import annotations

import pytest
from core.policies import Hedging, Limiter
from world import World

from meshware.core.attempt import Raise, Retry
from meshware.core.call import Call
from meshware.core.outcome import Cause
from meshware.core.plan import Edits, Override, Plan


def call_by(world, plan):
    return Call(world.service, world.call().request, plan=plan)


def test_a_service_is_the_plan_of_its_own_calls():
    world = World()
    assert world.call().plan is world.service
    assert (world.service.reply, world.service.edits, world.service.within) == (None, None, None)


def test_a_plan_that_says_nothing_is_as_the_service():
    world = World(timeout=2.0, retry={"attempts": 3})
    plan = Plan(world.service)
    assert (plan.timeout, plan.timeout_chosen) == (2.0, True)
    service = world.service
    assert (plan.retry, plan.hedging, plan.faults) == (service.retry, service.hedging, None)
    assert (plan.fallback, plan.limiter) == (service.fallback, service.limiter)
    assert not Plan(World().service).timeout_chosen


def test_the_narrower_timeout_counts_and_is_a_chosen_one():
    world = World(timeout=2.0)
    route = Plan(world.service, timeout=5.0)
    here = route.overridden(Override(timeout=0.5))
    for plan, timeout in ((None, 2.0), (route, 5.0), (here, 0.5)):
        call = call_by(world, plan)
        call.begin(world.now)
        assert (call.deadline.timeout, call.deadline.chosen) == (timeout, True)


def test_the_callers_own_timeout_can_still_shorten_it():
    world = World()
    call = Call(world.service, world.call(timeout=0.2).request, plan=Plan(world.service, timeout=5.0))
    call.begin(world.now)
    assert call.deadline.timeout == 0.2


@pytest.mark.parametrize(("attempts", "step"), [(1, Raise), (2, Retry)])
def test_an_override_says_how_often_a_call_is_sent(attempts, step):
    world = World(retry={"attempts": 3 - attempts})
    call = call_by(world, Plan(world.service).overridden(Override(attempts=attempts)))
    assert isinstance(world.fail(call, call.begin(world.now), Cause.RESET), step)


def test_hedging_can_be_switched_off_for_some_calls():
    world = World()
    world.service.hedging = Hedging()
    assert call_by(world, None).begin(world.now).hedge_at is not None
    assert call_by(world, Plan(world.service).overridden(Override(hedge=False))).begin(world.now).hedge_at is None
    assert call_by(world, Plan(world.service, hedging=(None,))).begin(world.now).hedge_at is None
    assert call_by(world, Plan(world.service, hedging=(Hedging(),))).begin(world.now).hedge_at is not None


def test_hedging_can_be_wanted_where_it_is_off():
    world = World(hedge={"enabled": False, "factor": 1.0})
    wanted = Plan(world.service).overridden(Override(hedge=True))
    assert Plan(world.service).hedging is None
    assert wanted.hedging is Plan(world.service, hedging=(None,)).overridden(Override(hedge=True)).hedging
    world.succeed(200, elapsed=0.05)
    attempt = call_by(world, wanted).begin(world.now)
    assert attempt.hedge_at == pytest.approx(world.now + 0.05, rel=0.1)
    assert call_by(world, None).begin(world.now).hedge_at is None


def test_who_hedges_by_a_route_does_so_where_hedging_is_wanted():
    world, own = World(), Hedging()
    assert Plan(world.service, hedging=(own,)).overridden(Override(hedge=True)).hedging is own
    assert Plan(world.service).overridden(Override(hedge=True)).hedging is world.service.hedging


def test_what_stands_in_for_failures_is_the_plans():
    world, own = World(fallback={"static": {"body": ""}}), object()
    assert Plan(world.service, fallback=(own,)).fallback is own
    assert Plan(world.service, fallback=(None,)).fallback is None
    assert Plan(world.service, fallback=(own,)).overridden(Override(fallback=False)).fallback is None
    assert Plan(world.service, fallback=(own,)).overridden(Override(timeout=1.0)).fallback is own


def test_what_lets_its_calls_out_is_the_plans():
    world, room = World(), Limiter(1)
    call = call_by(world, Plan(world.service, limiter=room).overridden(Override(timeout=1.0)))
    attempt = call.begin(world.now)
    assert (room.room, world.service.limiter.in_flight) == (0, 0)
    world.answer(call, attempt)
    world.read(call, attempt)
    assert room.room == 1


def test_of_two_overrides_the_inner_one_counts_where_it_says_something():
    outer = Override(timeout=1.0, attempts=3)
    assert Override(attempts=1).over(outer) == Override(timeout=1.0, attempts=1)
    assert Override(timeout=0.5, hedge=False).over(outer) == Override(0.5, 3, False)
    assert Override(hedge=True).over(Override(hedge=False, fallback=False)) == Override(hedge=True, fallback=False)
    assert outer.over(None) is outer


def test_headers_are_set_added_and_left_out():
    edits = Edits({"a": "1"}, {"b": "2", "c": "3"}, frozenset({"d"}))
    assert edits.of({"a": "0", "b": b"0", "d": "x"}) == {"a": "1", "b": "0, 2", "c": "3", "d": None}


def test_edits_come_after_those_of_the_routes_before():
    first = Edits({"a": "1", "b": "1"}, {}, frozenset({"c"}))
    plan = Plan(World().service, edits=Edits({}, {"a": "2", "c": "2"}, frozenset({"b"}))).after(first)
    assert plan.edits.of({"c": "0"}) == {"a": "1, 2", "b": None, "c": "2"}
    assert Plan(World().service).after(first).edits is first


def test_an_answers_headers_are_changed_in_place():
    headers = {"a": "0", "b": "0", "d": "0"}
    Edits({"a": "1"}, {"b": "2"}, frozenset({"d", "missing"})).apply(headers)
    assert headers == {"a": "1", "b": "0, 2"}


def test_a_plan_says_what_it_is():
    assert repr(Plan(World().service, name="canary")) == "<Plan canary: inventory>"
