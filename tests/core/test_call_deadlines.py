"""Call: which deadline holds, how long an attempt may take, and whom a cut blames."""

from __future__ import annotations

import pytest
from world import START, World

from meshware.context import RequestContext
from meshware.core.call import Raise, Retry
from meshware.core.deadline import Deadline
from meshware.core.errors import DeadlineExceeded
from meshware.core.outcome import Cause, Verdict


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


def test_an_attempt_cut_by_its_own_timeout_that_is_not_retried_says_so_and_not_that_the_deadline_has_passed():
    world, context = World(attempt_timeout=0.3, retry={"attempts": 3}), RequestContext()
    while context.spend():
        pass
    call = world.call(timeout=2.0, context=context)
    step = world.fail(call, call.begin(world.now), Cause.TIMEOUT, after=0.3, error=None)
    assert isinstance(step.error, DeadlineExceeded)
    assert step.error.attempt_timeout == pytest.approx(0.3)
    assert "attempt 1 of 3 had no answer within 0.300 s" in str(step.error)


def test_a_timer_of_the_clients_own_before_any_deadline_raises_its_own_error():
    world = World(retry=False)
    call = world.call(timeout=2.0)
    own = TimeoutError("the client's own")
    step = world.fail(call, call.begin(world.now), Cause.TIMEOUT, after=0.3, error=own)
    assert step.error is own


def test_a_cut_by_a_deadline_that_left_too_little_blames_nobody():
    world = World()
    world.succeed(30, elapsed=0.1)
    call = world.call(timeout=0.15)
    attempt = call.begin(world.now)
    step = world.fail(call, attempt, Cause.TIMEOUT, after=0.15, error=None)
    assert attempt.outcome.verdict is Verdict.NEUTRAL
    assert isinstance(step, Raise)
    assert isinstance(step.error, DeadlineExceeded)


@pytest.mark.parametrize("cause", [Cause.CONNECT_TIMEOUT, Cause.RESET, Cause.LOCAL])
def test_whatever_timer_was_first_at_the_deadline_the_caller_learns_that_it_has_passed(cause):
    world = World()
    call = world.call(timeout=0.15)
    step = world.fail(call, call.begin(world.now), cause, after=0.15)
    assert isinstance(step.error, DeadlineExceeded)
    assert str(step.error.__cause__) == cause.value


@pytest.mark.parametrize(("timeout", "verdict"), [(0.5, Verdict.NEUTRAL), (2.0, Verdict.FAILURE)])
def test_before_the_pace_is_known_only_a_second_or_more_blames_the_endpoint(timeout, verdict):
    world = World()
    call = world.call(timeout=timeout)
    attempt = call.begin(world.now)
    world.fail(call, attempt, Cause.TIMEOUT, after=timeout, error=None)
    assert attempt.outcome.verdict is verdict


def overdue_world(context=None, **settings):
    world = World(**settings)
    world.succeed(30, elapsed=0.1)
    call = world.call(context=context)
    attempt = call.begin(world.now)
    world.now = attempt.deadline
    return world, call, attempt


def test_an_overdue_attempt_is_cut_when_another_endpoint_can_be_tried():
    world, call, attempt = overdue_world()
    assert call.overdue(attempt, world.now) == world.now


def twice(attempt, now):
    """When it has waited for twice as long."""
    return pytest.approx(now + (now - attempt.began))


def test_an_overdue_attempt_goes_on_when_no_other_endpoint_is_there():
    world, call, attempt = overdue_world(endpoints=1)
    until = call.overdue(attempt, world.now)
    assert until == attempt.deadline == twice(attempt, world.now)
    while until < call.deadline.at:
        world.now, until = until, call.overdue(attempt, until)
        assert until > world.now
    assert until == call.deadline.at


def test_an_overdue_attempt_goes_on_without_budget_and_under_the_guard():
    world, call, attempt = overdue_world()
    world.service.guard.on = True
    assert call.overdue(attempt, world.now) == twice(attempt, world.now)
    world.service.guard.on = False
    while world.service.budget.withdraw(world.now):
        pass
    assert call.overdue(attempt, world.now) == twice(attempt, world.now)


def test_an_overdue_attempt_goes_on_when_its_inbound_request_can_pay_for_no_other():
    context = RequestContext()
    world, call, attempt = overdue_world(context=context)
    assert call.overdue(attempt, world.now) == world.now
    world, call, attempt = overdue_world(context=context)
    while context.spend():
        pass
    assert call.overdue(attempt, world.now) == twice(attempt, world.now)


def test_an_overdue_attempt_goes_on_in_a_common_pause():
    world, call, attempt = overdue_world()
    for other in world.endpoints:
        if other is not attempt.endpoint:
            world.call().begin(START)
    began = world.now - 5
    for endpoint in world.endpoints:
        for each in endpoint.waiting:
            endpoint.waiting[each] = began
    assert call.overdue(attempt, world.now) == twice(attempt, world.now)


def test_an_overdue_attempt_goes_on_while_the_last_answers_took_nearly_as_long():
    world, call, attempt = overdue_world()
    world.now = START
    world.succeed(8, elapsed=0.25)
    recent = call.figures.recent
    assert 0.1 < recent < 0.25
    world.now = attempt.deadline
    until = call.overdue(attempt, world.now)
    assert until == attempt.deadline == pytest.approx(attempt.began + 3 * recent)
    assert call.overdue(attempt, until) == until


def test_where_others_are_answered_an_attempt_may_wait_three_times_as_long():
    _, call, attempt = overdue_world()
    limit = attempt.deadline - attempt.began
    for times in (1.0, 2.0):
        now = attempt.endpoint.answered = attempt.began + times * limit
        assert call.overdue(attempt, now) == twice(attempt, now)
    now = attempt.endpoint.answered = attempt.began + 4.0 * limit
    assert call.overdue(attempt, now) == now


def test_a_timeout_that_was_set_holds_where_others_are_answered_too():
    world, call, attempt = overdue_world(attempt_timeout=0.5)
    assert world.now == attempt.began + 0.5
    attempt.endpoint.answered = world.now
    assert call.overdue(attempt, world.now) == world.now


def test_near_its_deadline_a_late_attempt_goes_on_where_others_are_answered():
    world, call, attempt = overdue_world(timeout=1.0, attempt_timeout=0.35)
    assert call.overdue(attempt, world.now) == world.now
    attempt.endpoint.answered = world.now
    assert call.overdue(attempt, world.now) == twice(attempt, world.now)


def timed_out(world, call, attempt, after=0.0):
    """Whether that counts as a failure of its endpoint."""
    world.fail(call, attempt, Cause.TIMEOUT, after=after, error=None)
    assert attempt.outcome.verdict is Verdict.FAILURE
    return not attempt.outcome.late


def test_of_timeouts_by_one_silence_only_the_first_is_a_failure_of_its_endpoint():
    world = World(1)
    first, second = [(call, call.begin(world.now)) for call in (world.call(), world.call())]
    assert timed_out(world, *first, after=2.0)
    third = world.call()
    third = third, third.begin(world.now)
    assert not timed_out(world, *second, after=0.1)
    assert timed_out(world, *third, after=2.0)


def test_the_first_timeout_since_its_endpoint_has_answered_is_doubtful_and_the_second_is_not():
    world = World(1)
    for _ in range(2):
        doubtful = []
        for _ in range(3):
            call = world.call()
            attempt = call.begin(world.now)
            assert timed_out(world, call, attempt, after=2.0)
            doubtful.append(attempt.outcome.doubtful)
        assert doubtful == [True, False, False]
        world.succeed()


def test_one_that_had_all_of_its_calls_time_is_not_doubtful():
    world = World(1, timeout=2.0)
    call = world.call()
    attempt = call.begin(world.now)
    assert timed_out(world, call, attempt, after=2.0)
    assert not attempt.outcome.doubtful


def test_one_that_answers_others_meanwhile_is_slow_and_has_not_failed():
    world = World(1)
    call = world.call()
    attempt = call.begin(world.now)
    world.now += 1.0
    world.succeed()
    assert not timed_out(world, call, attempt, after=1.0)


def test_one_that_was_let_go_on_is_cut_once_its_endpoint_has_answered_nobody_for_as_long_again():
    world, call, attempt = overdue_world()
    call.figures.cuts_pay = 0.0
    attempt.endpoint.answered = world.now
    until = call.overdue(attempt, world.now)
    assert until == twice(attempt, world.now)
    attempt.endpoint.answered = until
    later = call.overdue(attempt, until)
    assert later > until
    assert call.overdue(attempt, later) == later


def late_twice(world):
    """A call of which the first attempt was cut, if it was, and the retry is late too."""
    world.succeed(5, elapsed=0.1)
    call = world.call()
    first = call.begin(world.now)
    world.now = first.began + 4 * (first.deadline - first.began)
    first.endpoint.answered = world.now
    if call.overdue(first, world.now) > world.now:
        call.abandon(first, world.now)
        return False
    retry = world.fail(call, first, Cause.TIMEOUT, after=0.0).attempt
    world.now = retry.began + 1.4
    call.overdue(retry, world.now)
    call.abandon(retry, world.now)
    return True


def quick_retry(world):
    """A call of which the first attempt was cut, if it was, and the retry is answered at once."""
    world.succeed(5, elapsed=0.1)
    call = world.call()
    first = call.begin(world.now)
    world.now = first.deadline
    if call.overdue(first, world.now) > world.now:
        call.abandon(first, world.now)
        return
    retry = world.fail(call, first, Cause.TIMEOUT, after=0.0).attempt
    world.answer(call, retry)
    world.read(call, retry)


def test_where_retries_are_late_too_few_attempts_are_cut_until_cutting_pays():
    world = World(retry={"budget": {"minimum": 1000}}, ejection={"enabled": False}, circuit={"enabled": False})
    world.succeed(30, elapsed=0.1)
    cut = [late_twice(world) for _ in range(100)]
    assert all(cut[:1])
    assert sum(cut[30:]) < 15
    for _ in range(200):
        quick_retry(world)
    assert world.call().figures.cuts_pay > 0.9


def test_past_the_calls_deadline_an_attempt_is_cut():
    _, call, attempt = overdue_world()
    now = call.deadline.at
    assert call.overdue(attempt, now) == now
