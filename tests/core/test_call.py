"""Call: what it decides, step by step, and that everything it took is given back."""

from __future__ import annotations

import gc
import random

import pytest
from world import NAME, START, World, request

from meshware.context import RequestContext
from meshware.core.call import Call, Deliver, Lost, Raise, Retry, State, Wait
from meshware.core.deadline import Deadline
from meshware.core.errors import CircuitOpen, DeadlineExceeded, NoEndpoint, Overloaded
from meshware.core.outcome import Cause, Ending, Outcome, Verdict


class Hedging:
    """Hedges each call after a fixed time."""

    def __init__(self, after=0.05):
        self.after = after

    def delay(self, call, now):
        return self.after


class Limiter:
    """Lets so many calls in at a time."""

    def __init__(self, room):
        self.room = room
        self.released = []

    def acquire(self, call, now):
        if not self.room:
            return "no room"
        self.room -= 1
        return None

    def release(self, call, verdict, now):
        self.room += 1
        self.released.append(verdict)


class Recorder:
    """Hears every hook."""

    def __init__(self, service):
        self.heard = []
        for hook in ("on_answer", "on_end", "on_abandon", "on_done"):
            setattr(service, hook, (self._hear(hook),))

    def _hear(self, hook):
        return lambda *facts: self.heard.append((hook, facts))

    def names(self):
        return [hook for hook, _ in self.heard]


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


def test_the_retry_is_refunded_when_no_endpoint_can_be_had_for_it():
    world = World(1)
    context = RequestContext()
    call = world.call(context=context)
    attempt = call.begin(world.now)
    real, calls = world.service.pick, []

    def gone(call, now):
        calls.append(now)
        raise NoEndpoint(NAME, {})

    world.service.pick = gone
    assert isinstance(world.answer(call, attempt, 503), Deliver)
    world.service.pick = real
    assert calls
    assert world.tokens == 2.0
    assert [context.spend() for _ in range(4)] == [True, True, True, False]


# Deadlines


def test_nothing_is_sent_after_the_deadline():
    world = World()
    call = world.call(context=RequestContext(Deadline(world.now - 0.1, 1.0)))
    with pytest.raises(DeadlineExceeded, match="nothing was sent"):
        call.begin(world.now)
    assert world.in_flight() == 0


@pytest.mark.parametrize(
    ("settings", "timeout", "inherited", "expected", "chosen"),
    [
        ({}, None, None, 10.0, False),
        ({"timeout": 2.0}, None, None, 2.0, True),
        ({"timeout": 2.0}, 1.0, None, 1.0, True),
        ({"timeout": 2.0}, 5.0, None, 2.0, True),
        ({}, 30.0, None, 30.0, True),
        ({}, None, 0.5, 0.5, True),
        ({}, None, 60.0, 60.0, True),
        ({"timeout": 2.0}, 1.0, 0.5, 0.5, True),
        ({"timeout": 2.0}, 1.0, 1.5, 1.0, True),
    ],
)
def test_the_deadline_is_the_least_that_somebody_chose(settings, timeout, inherited, expected, chosen):
    world = World(**settings)
    context = RequestContext(None if inherited is None else Deadline.after(inherited, world.now))
    call = world.call(context=context, timeout=timeout)
    call.begin(world.now)
    assert call.deadline.at == pytest.approx(world.now + expected)
    assert call.deadline.chosen is chosen


def test_the_callers_timeout_of_a_streamed_answer_ends_at_its_headers():
    world = World()
    call = world.call(timeout=1.0, streamed=True)
    call.begin(world.now)
    assert call.deadline.at == world.now + 1.0
    assert not call.deadline.chosen


def test_a_context_that_has_responded_lends_no_deadline():
    world = World()
    context = RequestContext(Deadline(world.now - 1, 1.0))
    context.responded()
    call = world.call(context=context)
    call.begin(world.now)
    assert call.deadline.at == world.now + 10.0


def test_a_connect_has_its_own_limit():
    world = World()
    assert world.call().begin(world.now).connect_by == world.now + 1.5
    assert world.call(timeout=0.5).begin(world.now).connect_by == world.now + 0.5


def test_an_attempt_has_three_times_the_operations_p95_while_another_could_follow():
    world = World()
    world.succeed(30, elapsed=0.1)
    attempt = world.call().begin(world.now)
    assert attempt.deadline - attempt.began == pytest.approx(0.3, rel=0.1)
    assert world.call("POST").begin(world.now).deadline == pytest.approx(world.now + 10.0)


def test_an_attempt_cut_by_its_own_timeout_is_a_failure_and_retried():
    world = World()
    world.succeed(30, elapsed=0.1)
    call = world.call()
    attempt = call.begin(world.now)
    step = world.fail(call, attempt, Cause.TIMEOUT, after=attempt.deadline - world.now, error=None)
    assert attempt.outcome.verdict is Verdict.FAILURE
    assert isinstance(step, Retry)


def test_a_cut_by_a_deadline_that_left_too_little_blames_nobody():
    world = World()
    world.succeed(30, elapsed=0.1)
    call = world.call(timeout=0.15)
    attempt = call.begin(world.now)
    step = world.fail(call, attempt, Cause.TIMEOUT, after=0.15, error=None)
    assert attempt.outcome.verdict is Verdict.NEUTRAL
    assert isinstance(step, Raise)
    assert isinstance(step.error, DeadlineExceeded)


@pytest.mark.parametrize(("timeout", "verdict"), [(0.5, Verdict.NEUTRAL), (2.0, Verdict.FAILURE)])
def test_before_the_pace_is_known_only_a_second_or_more_blames_the_endpoint(timeout, verdict):
    world = World()
    call = world.call(timeout=timeout)
    attempt = call.begin(world.now)
    world.fail(call, attempt, Cause.TIMEOUT, after=timeout, error=None)
    assert attempt.outcome.verdict is verdict


def overdue_world(**settings):
    world = World(**settings)
    world.succeed(30, elapsed=0.1)
    call = world.call()
    attempt = call.begin(world.now)
    world.now = attempt.deadline
    return world, call, attempt


def test_an_overdue_attempt_is_cut_when_another_endpoint_can_be_tried():
    world, call, attempt = overdue_world()
    assert call.overdue(attempt, world.now) == world.now


def test_an_overdue_attempt_goes_on_when_no_other_endpoint_is_there():
    world, call, attempt = overdue_world(endpoints=1)
    assert call.overdue(attempt, world.now) == call.deadline.at
    assert attempt.deadline == call.deadline.at


def test_an_overdue_attempt_goes_on_without_budget_and_under_the_guard():
    world, call, attempt = overdue_world()
    world.service.guard.on = True
    assert call.overdue(attempt, world.now) == call.deadline.at
    world.service.guard.on = False
    while world.service.budget.withdraw(world.now):
        pass
    assert call.overdue(attempt, world.now) == call.deadline.at


def test_an_overdue_attempt_goes_on_in_a_common_pause():
    world, call, attempt = overdue_world()
    for other in world.endpoints:
        if other is not attempt.endpoint:
            world.call().begin(START)
    began = world.now - 5
    for endpoint in world.endpoints:
        for each in endpoint.waiting:
            endpoint.waiting[each] = began
    assert call.overdue(attempt, world.now) == call.deadline.at


def test_past_the_calls_deadline_an_attempt_is_cut():
    _, call, attempt = overdue_world()
    now = call.deadline.at
    assert call.overdue(attempt, now) == now


# Refusals


def test_an_open_circuit_refuses_and_says_until_when():
    world = World(1, retry={"attempts": 1}, ejection={"enabled": False})
    for _ in range(20):
        call = world.call()
        world.fail(call, call.begin(world.now), after=0.2)
    with pytest.raises(CircuitOpen) as refused:
        world.call().begin(world.now)
    assert refused.value.until > world.now
    assert world.in_flight() == 0


def test_a_trial_of_the_circuit_that_is_abandoned_can_be_had_again():
    world = World(1, retry={"attempts": 1}, ejection={"enabled": False})
    for _ in range(20):
        call = world.call()
        world.fail(call, call.begin(world.now), after=0.2)
    world.pass_time(5)
    trial = world.call()
    attempt = trial.begin(world.now)
    with pytest.raises(CircuitOpen):
        world.call().begin(world.now)
    trial.abandon(attempt, world.now)
    again = world.call()
    world.answer(again, again.begin(world.now))
    world.call().begin(world.now)


def test_a_limiter_refuses_before_anything_is_sent_and_gets_every_slot_back():
    world = World()
    limiter = world.service.limiter = Limiter(2)
    one, two, three = world.call(), world.call(), world.call()
    first, second = one.begin(world.now), two.begin(world.now)
    with pytest.raises(Overloaded, match="no room"):
        three.begin(world.now)
    assert limiter.room == 0
    world.answer(one, first)
    assert limiter.room == 0
    world.read(one, first)
    two.abandon(second, world.now)
    world.service.settle(world.now)
    assert limiter.room == 2
    assert limiter.released == [Verdict.SUCCESS, Verdict.NEUTRAL]


def test_a_failed_call_gives_its_limiter_slot_back():
    world = World()
    limiter = world.service.limiter = Limiter(1)
    call = world.call("POST")
    world.fail(call, call.begin(world.now))
    assert limiter.room == 1


def test_a_call_without_an_endpoint_gives_back_its_slot_and_says_each_state():
    world = World(2)
    limiter = world.service.limiter = Limiter(1)
    watcher = Recorder(world.service)
    from meshware.core.availability import Bar

    for endpoint in world.endpoints:
        endpoint.availability.bar(Bar.HELD, detail="maintenance")
    with pytest.raises(NoEndpoint, match=r"10\.0\.0\.1:80: held by hand \(maintenance\)"):
        world.call().begin(world.now)
    assert limiter.room == 1
    assert watcher.names() == ["on_done"]


# Bodies


def test_a_broken_body_is_a_failure_counted_once():
    world = World()
    for _ in range(3):
        call = world.call()
        attempt = call.begin(world.now)
        world.answer(call, attempt)
        world.read(call, attempt, Ending.BROKEN)
    assert world.service.guard.failures > 0
    rows = {each.address: each.availability.state() for each in world.endpoints}
    assert set(rows.values()) == {"available"}  # one each, by round robin


def test_three_broken_bodies_in_a_row_eject_the_endpoint():
    world = World(2)
    target = world.endpoints[0]
    for _ in range(6):
        call = world.call()
        attempt = call.begin(world.now)
        world.answer(call, attempt)
        world.read(call, attempt, Ending.BROKEN if attempt.endpoint is target else Ending.COMPLETE)
    assert not target.availability.available(world.now)


def test_a_dropped_body_says_nothing_and_ends_the_row_of_failures():
    world = World(1, strategy="peak_ewma")
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    call.ended(attempt, Ending.DROPPED, 5.0, world.now)
    assert world.in_flight() == 0
    world.service.settle(world.now)
    assert world.endpoints[0].samplers[0].value(world.now) == pytest.approx(0.01)


def test_a_complete_body_gives_the_response_time_inside_reads():
    world = World(1, strategy="peak_ewma")
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    world.now += 60  # the caller's own pause
    world.read(call, attempt, wire=0.03)
    assert world.endpoints[0].samplers[0].value(world.now) == pytest.approx(0.03)


def test_a_stream_weighs_a_tenth_until_it_is_closed_and_its_length_is_no_response_time():
    world = World(1, strategy="peak_ewma")
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt, stream=True)
    assert world.endpoints[0].load == pytest.approx(0.1)
    world.now += 60
    world.read(call, attempt, wire=60.0)
    assert world.endpoints[0].load == 0
    assert world.endpoints[0].samplers[0].value(world.now) == pytest.approx(0.01)


def test_a_failure_is_never_a_fast_answer():
    world = World(1, strategy="peak_ewma")
    call = world.call("POST")
    world.answer(call, call.begin(world.now), 500, after=0.001)
    assert world.endpoints[0].samplers[0].value(world.now) == pytest.approx(5.0)


def test_a_bodys_end_of_an_answer_that_was_no_success_teaches_nothing_more():
    world = World(1, strategy="peak_ewma")
    call = world.call("POST")
    attempt = call.begin(world.now)
    world.answer(call, attempt, 500)
    world.read(call, attempt, wire=50.0)
    assert world.endpoints[0].samplers[0].value(world.now) == pytest.approx(5.0)


# Abandonment


def test_an_abandoned_attempt_is_not_a_failure_and_gives_everything_back():
    world = World()
    watcher = Recorder(world.service)
    call = world.call()
    attempt = call.begin(world.now)
    call.abandon(attempt, world.now)
    call.abandon(attempt, world.now)
    assert world.in_flight() == 0
    world.service.settle(world.now)
    assert attempt.state is State.ABANDONED
    assert world.service.guard.failures == 0
    assert watcher.names() == ["on_abandon"]


def test_a_retry_abandoned_while_it_waits_gives_its_token_back():
    world = World()
    context = RequestContext()
    call = world.call(context=context)
    step = world.answer(call, call.begin(world.now), 503)
    assert world.tokens == 1.0
    call.abandon(step.attempt, step.attempt.began - 0.0001)
    world.service.settle(world.now)
    assert world.tokens == 2.0
    assert world.in_flight() == 1  # the 503's body, which the driver closes
    assert [context.spend() for _ in range(4)] == [True, True, True, False]


def test_a_retry_abandoned_after_it_was_sent_has_cost_its_token():
    world = World()
    call = world.call()
    held = world.answer(call, call.begin(world.now), 503).attempt
    call.abandon(held, held.began + 0.01)
    world.service.settle(world.now)
    assert world.tokens == 1.0


def test_no_lock_is_taken_by_an_ending_inside_a_finalizer():
    world = World()
    call, dropped = world.call(), world.call()
    attempt, other = call.begin(world.now), dropped.begin(world.now)
    world.answer(dropped, other)

    class Held:
        def __del__(self):
            call.abandon(attempt, world.now)
            dropped.ended(other, Ending.DROPPED, 0.1, world.now)

    budget, ejection = world.service.budget, world.service.ejection
    with budget._lock, ejection._lock:  # held by this very thread: taking them again would deadlock
        Held()
        gc.collect()
    assert world.in_flight() == 0
    assert len(world.service.inbox) == 2


# Hedges


def hedged_world(**settings):
    world = World(**settings)
    world.service.hedging = Hedging()
    return world


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


def test_a_hedge_that_finds_no_endpoint_gets_its_token_back():
    world = hedged_world()
    call = world.call()
    call.begin(world.now)

    def gone(call, now):
        raise NoEndpoint(NAME, {})

    world.service.pick = gone
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


# Mirrors


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


# What others see


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
