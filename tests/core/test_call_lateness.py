"""What we stood still ourselves is nobody else's fault: it is taken off, teaches no pace, and ends no attempt."""

from __future__ import annotations

import pytest
from world import World

from meshware.core.call import Retry
from meshware.core.lateness import Lateness
from meshware.core.outcome import Cause, Outcome, Verdict

PACE = 0.01
STOOD = 2.0


@pytest.fixture
def world():
    """Its pace is known, and whoever watches whether we stand still has just begun."""
    made = World(3, timeout=30.0)
    made.succeed(60, elapsed=PACE)
    made.service.lateness = Lateness()
    return made


def stand_still(world, seconds=STOOD):
    """So long nothing was done here, from now on."""
    world.service.lateness.expect(world.now)
    world.now += seconds
    world.service.lateness.beat(world.now)


def begun(world):
    call = world.call()
    return call, call.begin(world.now)


def test_what_we_stood_still_is_taken_off_the_time_of_an_answer(world):
    call, attempt = begun(world)
    world.now += PACE
    stand_still(world)
    world.answer(call, attempt, after=2 * PACE)
    assert attempt.outcome.delayed
    assert attempt.outcome.elapsed == pytest.approx(3 * PACE)


def test_but_no_answer_becomes_faster_than_is_usual(world):
    call, attempt = begun(world)
    stand_still(world)
    world.answer(call, attempt, after=0.0)
    assert attempt.outcome.elapsed == pytest.approx(PACE, rel=0.05)


def test_a_beat_that_is_still_due_counts_as_well(world):
    call, attempt = begun(world)
    world.service.lateness.expect(world.now + PACE)
    world.answer(call, attempt, after=STOOD)
    assert attempt.outcome.elapsed == pytest.approx(PACE, rel=0.05)


def test_such_an_answer_says_nothing_of_the_pace(world):
    before = repr(world.service.operations.total)
    call, attempt = begun(world)
    stand_still(world)
    world.answer(call, attempt)
    assert repr(world.service.operations.total) == before


def test_an_answer_of_which_nothing_was_missed_is_as_ever(world):
    stand_still(world)
    call, attempt = begun(world)
    world.answer(call, attempt, after=PACE)
    assert not attempt.outcome.delayed
    assert attempt.outcome.elapsed == pytest.approx(PACE)


@pytest.mark.parametrize("cause", [Cause.CONNECT_TIMEOUT, Cause.TIMEOUT])
def test_a_timeout_of_the_clients_own_that_rang_late_is_nobodys_failure(world, cause):
    for _ in range(6):
        call, attempt = begun(world)
        stand_still(world)
        world.fail(call, attempt, cause, sent=cause is Cause.TIMEOUT)
        assert attempt.outcome.verdict is Verdict.NEUTRAL
    assert all(each.availability.available(world.now) for each in world.endpoints)


def test_one_that_was_cut_all_the_same_is_tried_elsewhere(world):
    call, attempt = begun(world)
    world.now = attempt.deadline
    assert call.overdue(attempt, world.now) == world.now
    stand_still(world)
    step = world.fail(call, attempt, Cause.TIMEOUT)
    assert attempt.outcome.verdict is Verdict.NEUTRAL
    assert isinstance(step, Retry)


def test_short_standstills_hide_no_connects_that_hang(world):
    for _ in range(12):
        call, attempt = begun(world)
        stand_still(world, 0.03)
        world.fail(call, attempt, Cause.CONNECT_TIMEOUT, after=1.47, sent=False)
        assert attempt.outcome.verdict is Verdict.FAILURE
    assert not all(each.availability.available(world.now) for each in world.endpoints)


def test_what_is_no_longer_remembered_of_a_long_attempt_stays_taken_off(world):
    call, attempt = begun(world)
    stand_still(world)
    assert call.overdue(attempt, world.now) > world.now
    for _ in range(40):
        stand_still(world, 0.03)
        world.now += 0.1
    world.fail(call, attempt, Cause.TIMEOUT)
    assert attempt.stood >= STOOD
    assert attempt.outcome.verdict is Verdict.FAILURE


@pytest.mark.parametrize("cause", [Cause.REFUSED, Cause.RESET])
def test_what_an_endpoint_says_itself_it_has_said(world, cause):
    call, attempt = begun(world)
    stand_still(world)
    world.fail(call, attempt, cause)
    assert attempt.outcome.verdict is Verdict.FAILURE


def test_an_attempt_gets_as_much_time_as_we_stood_still_once(world):
    call, attempt = begun(world)
    given = attempt.deadline - attempt.began
    stand_still(world)
    assert call.overdue(attempt, world.now) == pytest.approx(attempt.began + given + STOOD)
    world.now = attempt.deadline
    assert call.overdue(attempt, world.now) == world.now
    step = call.answered(
        attempt, Outcome(elapsed=world.now - attempt.began, cause=Cause.TIMEOUT, error=TimeoutError()), world.now
    )
    assert isinstance(step, Retry)
    assert attempt.outcome.verdict is Verdict.FAILURE  # it had its time


def test_but_not_beyond_the_calls_own_deadline(world):
    call, attempt = begun(world)
    stand_still(world, 29.99)
    assert call.overdue(attempt, world.now) == call.deadline.at
    assert call.overdue(attempt, call.deadline.at) == call.deadline.at


def test_no_copy_goes_out_for_what_we_have_not_looked_at(world):
    world.succeed(200, elapsed=PACE)
    call, attempt = begun(world)
    assert attempt.hedge_at is not None
    before = attempt.hedge_at
    stand_still(world)
    assert call.hedge(world.now) is None
    assert attempt.hedge_at == pytest.approx(before + STOOD)


def test_the_copy_goes_out_later_by_as_much_as_we_stood_still(world):
    world.succeed(200, elapsed=PACE)
    call, attempt = begun(world)
    stand_still(world)
    assert call.hedge(world.now) is None
    world.now = attempt.hedge_at
    assert call.hedge(world.now).hedge


def test_more_time_is_given_once_whoever_asks_first(world):
    world.succeed(200, elapsed=PACE)
    call, attempt = begun(world)
    given = attempt.deadline - attempt.began
    stand_still(world)
    call.hedge(world.now)
    assert attempt.deadline == pytest.approx(attempt.began + given + STOOD)
    world.now = attempt.deadline
    assert call.overdue(attempt, world.now) == world.now


def test_who_waited_for_a_connection_for_most_of_his_time_says_nothing_of_the_endpoint(world):
    call, attempt = begun(world)
    assert attempt.fair
    world.now = attempt.deadline
    outcome = Outcome(elapsed=PACE, cause=Cause.TIMEOUT, error=TimeoutError())
    call.answered(attempt, outcome, world.now)
    assert outcome.verdict is Verdict.NEUTRAL
