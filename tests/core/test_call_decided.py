"""What a plan is told of its calls when they are decided, and whoever copies them."""

from __future__ import annotations

import pytest
from world import NAME, World

from meshware.core.availability import Bar
from meshware.core.call import Call
from meshware.core.errors import DeadlineExceeded, NoEndpoint
from meshware.core.plan import Plan
from meshware.core.request import Request


@pytest.fixture
def world():
    return World(retry={"attempts": 1})


def decided_by(world, told, **facts):
    plan = Plan(world.service, decided=lambda call, outcome, now: told.append(outcome and (outcome.status, now)))
    return Call(world.service, Request("GET", NAME, "/", {}, **facts), plan=plan)


def test_it_is_told_once_when_the_call_is_answered(world):
    told = []
    call = decided_by(world, told)
    attempt = call.begin(world.now)
    world.answer(call, attempt, 503)
    world.read(call, attempt)
    assert told == [(503, world.now)]


def test_it_is_told_when_there_is_no_answer(world):
    told = []
    call = decided_by(world, told)
    world.fail(call, call.begin(world.now))
    assert told == [(None, world.now)]


def test_it_is_told_of_a_refusal_but_not_of_a_deadline_that_was_over(world):
    told = []
    late, refused = decided_by(world, told, timeout=1.0), decided_by(world, told)
    with pytest.raises(DeadlineExceeded):
        late.begin(world.now, since=world.now - 2.0)
    assert told == []
    for endpoint in world.endpoints:
        endpoint.availability.bar(Bar.HELD)
    with pytest.raises(NoEndpoint):
        refused.begin(world.now)
    assert told == [None]


def test_it_is_not_told_of_a_call_that_nobody_wants_any_more(world):
    told = []
    call = decided_by(world, told)
    call.abandon(call.begin(world.now), world.now)
    world.keep_house()
    assert told == []


def test_copies_are_told_once_too(world):
    told, call = [], world.call()
    call.copied = lambda of, outcome, now: told.append((of, outcome.status, now))
    world.answer(call, call.begin(world.now))
    assert told == [(call, 200, world.now)]


def test_a_copy_is_a_child_by_a_plan_of_its_own(world):
    call, plan = world.call(), Plan(world.service, timeout=0.5)
    child = call.child(world.service, call.request, plan)
    assert (child.parent, child.plan) == (call, plan)
