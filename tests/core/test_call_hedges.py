"""Call: a second attempt beside the first; one is delivered, the other lost."""

from __future__ import annotations

import pytest
from core.policies import Hedging, hedged_world
from world import NAME, World

from meshware.core.call import Deliver, Lost, Raise, Retry, Wait
from meshware.core.errors import NoEndpoint
from meshware.core.outcome import Cause, Ending, Verdict
from meshware.core.service import Service


def test_a_call_without_hedging_has_no_hedge():
    world = World()
    call = world.call()
    attempt = call.begin(world.now)
    assert attempt.hedge_at is None
    assert call.hedge(world.now) is None


def test_hedging_may_leave_a_call_alone():
    world = World()
    world.service.hedging = Hedging(after=None)
    call = world.call()
    assert call.begin(world.now).hedge_at is None
    assert call.hedge(world.now) is None


def test_a_hedge_goes_to_another_endpoint_and_is_paid_from_the_budget():
    world = hedged_world()
    call = world.call()
    first = call.begin(world.now)
    assert first.hedge_at == world.now + 0.05
    second = call.hedge(first.hedge_at)
    assert second.hedge
    assert second.number == 1
    assert second.endpoint is not first.endpoint
    assert second.deadline == call.deadline.at
    assert world.tokens == 1.0
    assert call.hedge(world.now) is None  # one a call


@pytest.mark.row("F45")
def test_the_loser_of_a_hedge_is_lost_and_everything_ends():
    world = hedged_world()
    call = world.call()
    first = call.begin(world.now)
    second = call.hedge(world.now + 0.05)
    assert isinstance(world.answer(call, second), Deliver)
    assert isinstance(world.answer(call, first), Lost)
    world.read(call, first, Ending.DROPPED)
    world.read(call, second)
    assert world.in_flight() == 0


def test_a_failed_attempt_waits_for_the_other_and_its_answer_is_delivered_when_that_fails_too():
    world = hedged_world(retry={"attempts": 1})
    call = world.call()
    first = call.begin(world.now)
    second = call.hedge(world.now)
    assert isinstance(world.answer(call, first, 503), Wait)
    step = world.fail(call, second)
    assert isinstance(step, Deliver)
    assert step.attempt is first


def test_an_error_of_a_hedge_waits_too_and_the_first_may_still_win():
    world = hedged_world(retry={"attempts": 1})
    call = world.call()
    first = call.begin(world.now)
    second = call.hedge(world.now)
    assert isinstance(world.fail(call, second), Wait)
    assert isinstance(world.answer(call, first), Deliver)


def test_when_both_fail_without_an_answer_the_last_error_is_raised():
    world = hedged_world(retry={"attempts": 1})
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    assert isinstance(world.fail(call, first), Wait)
    assert isinstance(world.fail(call, second), Raise)


def test_a_loser_cut_before_its_answer_is_no_failure_but_its_age_counts():
    world = hedged_world(strategy="peak_ewma", endpoints=2)
    world.service.hedging = None
    world.succeed(40)
    world.service.hedging = Hedging()
    call = world.call()
    first = call.begin(world.now)
    second = call.hedge(world.now + 1.0)
    world.now += 1.0
    world.answer(call, second)
    assert isinstance(world.fail(call, first, Cause.CUT, after=0.0), Lost)
    assert first.outcome.verdict is Verdict.NEUTRAL
    assert first.endpoint.samplers[0].value(world.now) > 0.9
    assert world.service.guard.failures == 0


def test_a_loser_cut_sooner_than_usual_teaches_nothing():
    world = hedged_world(strategy="peak_ewma", endpoints=2)
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    world.answer(call, second)
    world.fail(call, first, Cause.CUT, after=0.0)
    assert first.endpoint.samplers[0].value(world.now) == 0.0


@pytest.mark.parametrize("why", ["decided", "guard", "no budget", "no other endpoint", "first has failed", "retry"])
def test_there_is_no_hedge_when_it_cannot_help(why):
    world = hedged_world(endpoints=1 if why == "no other endpoint" else 3)
    call = world.call("POST" if why == "first has failed" else "GET")
    first = call.begin(world.now)
    if why == "decided":
        world.answer(call, first)
    elif why == "guard":
        world.service.guard.on = True
    elif why == "no budget":
        world.service.budget.withdraw(world.now)
        world.service.budget.withdraw(world.now)
    elif why in ("first has failed", "retry"):
        world.fail(call, first)
    before = world.tokens
    assert call.hedge(world.now) is None
    assert world.tokens == before


def test_a_hedge_that_finds_no_endpoint_gets_its_token_back(monkeypatch):
    world = hedged_world()
    call = world.call()
    call.begin(world.now)

    def gone(service, call, now):
        raise NoEndpoint(NAME, {})

    monkeypatch.setattr(Service, "pick", gone)
    assert call.hedge(world.now) is None
    assert world.tokens == 2.0


def test_a_hedge_is_not_counted_among_the_attempts():
    world = hedged_world()
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    assert isinstance(world.answer(call, first, 503), Wait)
    step = world.answer(call, second, 503)
    assert isinstance(step, Retry)
    assert step.attempt.number == 2


def test_a_call_of_which_one_attempt_is_abandoned_goes_on_with_the_other():
    world = hedged_world()
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    call.abandon(first, world.now)
    world.service.settle(world.now)
    assert isinstance(world.answer(call, second), Deliver)
