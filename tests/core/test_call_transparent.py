"""Where nothing was sent, the first retry of a call is free: refused connections do not use up the others' budget."""

from __future__ import annotations

import pytest
from world import World

from meshware.context import RequestContext
from meshware.core.call import Raise, Retry
from meshware.core.errors import NoEndpoint
from meshware.core.outcome import UNSENT, Cause
from meshware.core.service import Service


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("cause", sorted(UNSENT, key=str))
def test_what_was_never_sent_goes_elsewhere_for_nothing(method, cause):
    world = World(3)
    call, tokens = world.call(method), world.tokens
    step = world.fail(call, call.begin(world.now), cause, sent=False)
    assert isinstance(step, Retry)
    assert world.tokens == tokens


def test_the_allowance_of_the_inbound_request_is_spent_and_its_answer_marked_all_the_same():
    world = World(3)
    context = RequestContext(allowance=1)
    call, tokens = world.call(context=context), world.tokens
    held = world.fail(call, call.begin(world.now), Cause.REFUSED, sent=False).attempt
    assert context.retried
    other = world.call(context=context)
    assert isinstance(world.fail(other, other.begin(world.now), Cause.REFUSED, sent=False), Raise)
    held.began = world.now + 1.0
    call.abandon(held, world.now)
    world.service.settle(world.now)
    assert not context.retried
    assert world.tokens == tokens


def test_nothing_is_taken_where_no_endpoint_is_left(monkeypatch):
    world = World(2)
    call, tokens = world.call(), world.tokens
    attempt = call.begin(world.now)
    monkeypatch.setattr(Service, "pick", _nobody)
    assert isinstance(world.fail(call, attempt, Cause.REFUSED, sent=False), Raise)
    assert world.tokens == tokens


def _nobody(service, call, now):
    raise NoEndpoint("inventory", {})


def test_the_second_is_paid():
    world = World(4, retry={"attempts": 3})
    call, tokens = world.call(), world.tokens
    second = world.fail(call, call.begin(world.now), Cause.REFUSED, sent=False).attempt
    assert isinstance(world.fail(call, second, Cause.REFUSED, sent=False), Retry)
    assert world.tokens == tokens - 1


def test_the_same_endpoint_is_not_free():
    world = World(1)
    call, tokens = world.call(), world.tokens
    assert isinstance(world.fail(call, call.begin(world.now), Cause.CONNECT_TIMEOUT, sent=False), Retry)
    assert world.tokens == tokens - 1


def test_an_empty_budget_holds_up_no_call_that_was_never_sent():
    world = World(3)
    while world.service.budget.withdraw(world.now):
        pass
    call = world.call("POST")
    assert isinstance(world.fail(call, call.begin(world.now), Cause.REFUSED, sent=False), Retry)
    other = world.call()
    assert isinstance(world.fail(other, other.begin(world.now), Cause.RESET), Raise)


def test_what_was_free_is_not_given_back():
    world = World(3)
    call, tokens = world.call(), world.tokens
    held = world.fail(call, call.begin(world.now), Cause.REFUSED, sent=False).attempt
    held.began = world.now + 1.0
    call.abandon(held, world.now)
    world.service.settle(world.now)
    assert world.tokens == tokens
