"""Call: what it decides after each answer, and what others see of it."""

from __future__ import annotations

import random

import pytest
from core.policies import Hedging, Limiter, Recorder, hedged_world
from world import NAME, World, request

from meshware.context import RequestContext
from meshware.core.call import Call, Deliver, Lost, Raise, Retry, State, Wait
from meshware.core.errors import CircuitOpen, NoEndpoint
from meshware.core.outcome import Cause, Ending, Outcome, Verdict
from meshware.core.service import Service


def test_a_success_is_delivered_and_in_flight_until_its_body_has_ended():
    world = World()
    call = world.call()
    attempt = call.begin(world.now)
    assert attempt.endpoint.load == 1
    assert attempt.endpoint.waiting
    step = world.answer(call, attempt)
    assert isinstance(step, Deliver)
    assert step.attempt is attempt
    assert attempt.state is State.ANSWERED
    assert attempt.endpoint.load == 1
    assert not attempt.endpoint.waiting
    world.read(call, attempt)
    assert attempt.state is State.ENDED
    assert world.in_flight() == 0


def test_a_second_ending_changes_nothing():
    world = World()
    watcher = Recorder(world.service)
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    world.read(call, attempt)
    world.read(call, attempt, Ending.BROKEN)
    call.abandon(attempt, world.now)
    assert watcher.names() == ["on_answer", "on_done", "on_end"]


def test_a_second_answer_to_the_same_attempt_is_lost():
    world = World()
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    assert isinstance(world.answer(call, attempt), Lost)


def test_a_gateway_error_is_retried_at_an_endpoint_that_was_not_tried():
    world = World()
    call = world.call()
    first = call.begin(world.now)
    step = world.answer(call, first, 503)
    assert isinstance(step, Retry)
    assert step.attempt.endpoint is not first.endpoint
    assert step.attempt.number == 2
    assert 0 <= step.after <= 0.25
    assert step.attempt.began == world.now + step.after


def test_the_last_failure_is_delivered_as_the_server_gave_it():
    world = World()
    call = world.call()
    held = world.answer(call, call.begin(world.now), 503).attempt
    step = world.answer(call, held, 503)
    assert isinstance(step, Deliver)
    assert step.attempt is held


def test_a_500_is_a_failure_but_not_retried():
    world = World()
    call = world.call()
    attempt = call.begin(world.now)
    step = world.answer(call, attempt, 500)
    assert isinstance(step, Deliver)
    assert attempt.outcome.verdict is Verdict.FAILURE


def test_a_404_is_nobodys_failure():
    world = World()
    call = world.call()
    attempt = call.begin(world.now)
    assert isinstance(world.answer(call, attempt, 404), Deliver)
    assert attempt.outcome.verdict is Verdict.SUCCESS


def test_a_post_is_not_sent_twice_once_it_was_sent():
    world = World()
    call = world.call("POST")
    step = world.fail(call, call.begin(world.now), Cause.RESET)
    assert isinstance(step, Raise)
    assert isinstance(step.error, ConnectionError)


def test_a_post_that_never_left_is_sent_elsewhere_at_once():
    world = World()
    call = world.call("POST")
    step = world.fail(call, call.begin(world.now), Cause.REFUSED, sent=False)
    assert isinstance(step, Retry)
    assert step.after == 0.0


@pytest.mark.row("F27")
def test_a_one_shot_body_is_never_sent_again():
    world = World()
    call = world.call("PUT", replayable=False)
    assert isinstance(world.fail(call, call.begin(world.now), Cause.REFUSED, sent=False), Raise)


def test_an_answer_of_a_tier_that_retried_is_not_retried_again():
    world = World()
    call = world.call()
    assert isinstance(world.answer(call, call.begin(world.now), 503, retried=True), Deliver)


def test_without_budget_there_is_no_retry():
    world = World()
    assert world.service.budget.withdraw(world.now)
    assert world.service.budget.withdraw(world.now)
    call = world.call()
    assert isinstance(world.answer(call, call.begin(world.now), 503), Deliver)
    assert world.tokens == 0


def test_a_retry_spends_one_token_and_a_success_earns_a_fifth():
    world = World()
    call = world.call()
    held = world.answer(call, call.begin(world.now), 503).attempt
    assert world.tokens == 1.0
    world.answer(call, held)
    assert world.tokens == 1.2


def test_an_inbound_requests_allowance_is_shared_and_the_token_goes_back_when_it_is_spent():
    world = World()
    context = RequestContext()
    while context.spend():
        pass
    call = world.call(context=context)
    assert isinstance(world.answer(call, call.begin(world.now), 503), Deliver)
    assert world.tokens == 2.0


def test_inside_no_retry_there_is_none():
    world = World()
    context = RequestContext()
    context.retry = False
    call = world.call(context=context)
    assert isinstance(world.answer(call, call.begin(world.now), 503), Deliver)


def test_a_retry_that_would_come_after_the_deadline_is_not_made():
    world = World(timeout=0.05, retry={"base": 0.2, "cap": 0.2})
    world.service.rng.random = lambda: 0.9
    call = world.call()
    assert isinstance(world.answer(call, call.begin(world.now), 503), Deliver)


def test_the_only_endpoint_is_tried_again_after_the_full_backoff_for_a_gateway_error():
    world = World(1)
    call = world.call()
    first = call.begin(world.now)
    step = world.answer(call, first, 502)
    assert isinstance(step, Retry)
    assert step.attempt.endpoint is first.endpoint
    assert step.after == 0.25


def test_the_only_endpoint_is_not_tried_again_after_it_broke_the_connection():
    world = World(1)
    call = world.call()
    assert isinstance(world.fail(call, call.begin(world.now), Cause.RESET), Raise)


def test_the_retry_is_refunded_when_no_endpoint_can_be_had_for_it(monkeypatch):
    world = World(1)
    context = RequestContext()
    call = world.call(context=context)
    attempt = call.begin(world.now)
    calls = []

    def gone(service, call, now):
        calls.append(now)
        raise NoEndpoint(NAME, {})

    monkeypatch.setattr(Service, "pick", gone)
    assert isinstance(world.answer(call, attempt, 503), Deliver)
    assert calls
    assert world.tokens == 2.0
    assert [context.spend() for _ in range(4)] == [True, True, True, False]


@pytest.mark.row("F46")
def test_a_child_call_makes_one_attempt_and_its_verdict_is_its_own():
    world, mirror = World(), World()
    mirror.service.hedging = Hedging()
    call = world.call()
    attempt = call.begin(world.now)
    child = call.child(mirror.service, request())
    assert child.parent is call
    copy = child.begin(mirror.now)
    assert copy.hedge_at is None
    assert isinstance(mirror.answer(child, copy, 503), Deliver)
    assert mirror.service.guard.failures > 0
    assert world.service.guard.failures == 0
    assert isinstance(world.answer(call, attempt), Deliver)


def test_observers_hear_each_step_in_order():
    world = World()
    watcher = Recorder(world.service)
    call = world.call()
    held = world.answer(call, call.begin(world.now), 503).attempt
    world.fail(call, held)
    assert watcher.names() == ["on_answer", "on_answer", "on_done"]
    (_, (heard, error, _)) = watcher.heard[-1]
    assert heard is call
    assert isinstance(error, ConnectionError)


def test_the_operation_and_reprs_say_what_a_person_needs():
    world = hedged_world()
    call = world.call(path="/items/42")
    assert call.operation == "GET /items/*"
    first, second = call.begin(world.now), call.hedge(world.now)
    assert repr(first).startswith("<attempt 1 at 10.0.0.")
    assert repr(second).startswith("<hedge 1 at 10.0.0.")
    assert repr(Wait()) == "Wait()"
    assert repr(Lost()) == "Lost()"
    assert repr(Deliver(first)) == f"Deliver({first.endpoint.address})"
    assert repr(Retry(first, 0.5)) == f"Retry({first.endpoint.address} after 0.500)"
    assert repr(Raise(ValueError())) == "Raise(ValueError)"


def test_a_call_takes_its_chances_from_the_services_rng():
    picks = []
    for _ in range(2):
        world = World(strategy="random", seed=7)
        picks.append([world.call().begin(world.now).endpoint.address for _ in range(20)])
    assert picks[0] == picks[1]
    assert len(set(picks[0])) == 3


def test_random_lives_always_give_everything_back():
    """Any order of answers, errors, hedges, endings and abandonments leaves nothing in flight."""
    for seed in range(50):
        chance = random.Random(seed)
        world = hedged_world(seed=seed)
        limiter = world.service.limiter = Limiter(10)
        for _ in range(20):
            live(world, chance)
        world.service.settle(world.now)
        assert world.in_flight() == 0
        assert limiter.room == 10


def live(world, chance):
    """One call, driven at random to its end."""
    call = world.call(chance.choice(["GET", "POST"]))
    try:
        attempts = [call.begin(world.now)]
    except (NoEndpoint, CircuitOpen):
        return
    if chance.random() < 0.5 and (hedge := call.hedge(world.now)) is not None:
        attempts.append(hedge)
    answered = []
    while attempts:
        attempt = attempts.pop(chance.randrange(len(attempts)))
        turn = chance.random()
        if turn < 0.2:
            call.abandon(attempt, world.now)
            continue
        if turn < 0.5:
            step = world.fail(call, attempt, chance.choice([Cause.RESET, Cause.REFUSED, Cause.TIMEOUT]), error=None)
        else:
            step = world.answer(call, attempt, chance.choice([200, 200, 503]))
            answered.append(attempt)
        if isinstance(step, Retry):
            attempts.append(step.attempt)
    for attempt in answered:
        world.read(call, attempt, chance.choice(list(Ending)))


def test_an_outcome_shows_its_verdict():
    assert repr(Outcome(elapsed=0.25, status=503)) == "<Outcome neutral: 503 in 0.250 s>"
    assert repr(Outcome(elapsed=0.25, cause=Cause.RESET)) == "<Outcome neutral: connection broken in 0.250 s>"
    assert isinstance(Call(World().service, request()), Call)
