"""What a call makes of an answer that asks for time before it is sent again."""

from __future__ import annotations

import pytest
from world import World

from meshware.core.availability import Bar
from meshware.core.call import Deliver, Retry


def test_who_is_alone_is_asked_again_after_the_time_that_it_wants():
    world = World(1, timeout=5)
    call = world.call()
    step = world.answer(call, call.begin(world.now), 503, retry_after=2.0)
    assert isinstance(step, Retry)
    assert step.after >= 2.0
    assert step.attempt.began == world.now + step.after


def test_a_429_that_names_a_time_is_too():
    world = World(1, timeout=5)
    call = world.call()
    assert isinstance(world.answer(call, call.begin(world.now), 429, retry_after=1.0), Retry)
    other = world.call()
    assert isinstance(world.answer(other, other.begin(world.now), 429), Deliver)


def test_a_time_that_the_deadline_does_not_leave_is_not_waited_for():
    world = World(1, timeout=2)
    call, tokens = world.call(), world.tokens
    assert isinstance(world.answer(call, call.begin(world.now), 503, retry_after=2.0), Deliver)
    assert world.tokens == tokens


def test_others_are_asked_without_waiting():
    world = World(3, timeout=5)
    call = world.call()
    first = call.begin(world.now)
    step = world.answer(call, first, 503, retry_after=2.0)
    assert isinstance(step, Retry)
    assert step.after <= 0.25
    assert step.attempt.endpoint is not first.endpoint


def test_where_all_have_asked_for_time_the_call_waits_until_one_may_be_asked():
    world = World(2, timeout=20)
    for each in world.endpoints:
        each.availability.bar(Bar.OVERLOADED, world.now + 3.0)
    one = world.endpoints[0]
    one.availability.lift(Bar.OVERLOADED)
    call = world.call()
    first = call.begin(world.now)
    assert first.endpoint is one
    one.availability.bar(Bar.OVERLOADED, world.now + 4.0)
    step = world.answer(call, first, 503, retry_after=2.0)
    assert isinstance(step, Retry)
    assert step.attempt.began >= world.now + 2.0
    assert step.attempt.endpoint.availability.available(step.attempt.began)


def test_who_is_out_for_good_is_not_waited_for():
    world = World(1, timeout=20)
    call = world.call()
    first = call.begin(world.now)
    first.endpoint.availability.bar(Bar.EJECTED)
    assert isinstance(world.answer(call, first, 503), Deliver)


@pytest.mark.parametrize("endpoints", [1, 3])
def test_an_answer_that_forbids_a_retry_stands(endpoints):
    world = World(endpoints)
    call, tokens = world.call(), world.tokens
    assert isinstance(world.answer(call, call.begin(world.now), 503, final=True), Deliver)
    assert world.tokens == tokens
