"""The in-flight limit: what it lets out, what it learns, and when it stands back."""

from __future__ import annotations

from collections import deque

import pytest
from world import World

from meshware.core.errors import Overloaded
from meshware.core.outcome import Cause
from meshware.limiting.in_flight import InFlightLimit, InFlightOptions


def limited(**limits):
    """A world whose calls have a second and are tried once; ejection and circuit stay out of it."""
    off = {"enabled": False}
    return World(4, timeout=1.0, retry={"attempts": 1}, ejection=off, circuit=off, guard=1.0, limits=limits)


def begun(world, count):
    """So many calls under way, and their attempts."""
    calls = [world.call() for _ in range(count)]
    return [(call, call.begin(world.now)) for call in calls]


def timed_out(world, count):
    """So many calls, one after the other, that nobody answers."""
    for _ in range(count):
        ((call, attempt),) = begun(world, 1)
        world.fail(call, attempt, Cause.TIMEOUT, after=1.0)


def answered_at_a_pace(world, count, seconds):
    for _ in range(count):
        world.succeed(elapsed=seconds)


def test_nothing_is_refused_under_the_limit_however_badly_it_goes():
    world = limited(start=5)
    for _ in range(50):
        call = world.call()
        world.answer(call, call.begin(world.now), 500)
    assert len(begun(world, 5)) == 5


def test_above_the_limit_nothing_is_refused_while_all_is_well():
    world = limited(start=2)
    answered_at_a_pace(world, 500, 0.01)
    assert len(begun(world, 30)) == 30


def test_above_the_limit_calls_are_refused_while_they_fail():
    world = limited(start=5)
    for _ in range(50):
        call = world.call()
        attempt = call.begin(world.now)
        world.answer(call, attempt, 500)
        world.read(call, attempt)
    begun(world, 4)
    limiter = world.service.limiter
    assert limiter.foreseen(world.call(), world.now) is None
    begun(world, 1)
    assert limiter.foreseen(world.call(), world.now) == "5 in flight, limit 5"
    assert limiter.in_flight == 5
    with pytest.raises(Overloaded, match="5 in flight, limit 5"):
        begun(world, 1)


def test_above_the_limit_a_call_is_refused_that_would_probably_come_too_late():
    world = limited(start=5)
    waiting = deque(begun(world, 100))

    def overload():
        for _ in range(500):  # one answer in 10 ms, two calls meanwhile
            call, attempt = waiting.popleft()
            world.answer(call, attempt, after=0.01)
            world.read(call, attempt)
            waiting.extend(begun(world, 2))

    with pytest.raises(Overloaded):
        overload()
    assert len(waiting) < 130


def test_a_pause_of_the_whole_fleet_is_no_overload():
    world = limited(start=5)
    answered_at_a_pace(world, 500, 0.01)
    begun(world, 30)
    world.pass_time(0.8)
    assert len(begun(world, 20)) == 20


def test_failures_of_a_minute_ago_refuse_nothing_though_the_limit_is_low_since_then():
    world = limited(start=5)
    (hanging,) = begun(world, 1)
    timed_out(world, 100)
    world.pass_time(60.0)
    assert world.service.limiter.limit == 2  # somebody still waits, so what was learned stays
    assert len(begun(world, 10)) == 10
    hanging[0].abandon(hanging[1], world.now)


def test_one_failure_alone_is_no_trouble():
    world = limited(start=2)
    first = begun(world, 2)
    begun(world, 1)
    world.answer(*first[0], 500)
    world.read(*first[0])
    assert len(begun(world, 5)) == 5


def test_what_is_in_flight_when_nothing_was_ever_answered_says_nothing():
    assert len(begun(limited(start=5), 100)) >= 5


def test_every_slot_comes_back_on_every_way_out():
    world = limited()
    (one, first), (two, second), (three, third) = begun(world, 3)
    world.answer(one, first)
    world.read(one, first)
    world.fail(two, second, Cause.RESET)
    three.abandon(third, world.now)
    world.service.settle(world.now)
    assert world.service.limiter.in_flight == 0


def test_a_stream_that_stays_open_holds_no_slot():
    world = limited()
    ((call, attempt),) = begun(world, 1)
    world.answer(call, attempt, stream=True)
    assert world.service.limiter.in_flight == 0


def test_the_limit_grows_with_good_answers_where_it_is_used():
    world = limited(start=2)
    for _ in range(50):
        for call, attempt in begun(world, 20):
            world.answer(call, attempt, after=0.0005)
            world.read(call, attempt)
    assert 25 < world.service.limiter.limit < 35


def test_the_limit_does_not_grow_where_it_is_not_used():
    world = limited(start=50)
    answered_at_a_pace(world, 200, 0.01)
    assert world.service.limiter.limit == 50


def test_slow_answers_lower_the_limit():
    world = limited(start=50)
    answered_at_a_pace(world, 100, 0.01)
    answered_at_a_pace(world, 20, 0.1)
    assert 45 < world.service.limiter.limit < 50


@pytest.mark.parametrize(("how", "least"), [("timeout", 2), ("overload", 2), ("fast failure", 50)])
def test_timeouts_and_overloads_lower_the_limit_at_once_and_a_fast_failure_does_not(how, least):
    world = limited(start=50)
    for _ in range(100):
        ((call, attempt),) = begun(world, 1)
        if how == "timeout":
            world.fail(call, attempt, Cause.TIMEOUT, after=1.0)
        else:
            world.answer(call, attempt, 429 if how == "overload" else 500)
            world.read(call, attempt)
    assert world.service.limiter.limit == least


@pytest.mark.parametrize(("silence", "limit"), [(9.0, 2), (11.0, 50)])
def test_after_a_long_silence_a_low_limit_begins_anew(silence, limit):
    world = limited(start=50)
    timed_out(world, 100)
    world.pass_time(silence)
    begun(world, 1)
    assert world.service.limiter.limit == limit


def test_a_limit_that_has_grown_outlives_a_silence():
    world = limited(start=2)
    for _ in range(50):
        for call, attempt in begun(world, 20):
            world.answer(call, attempt, after=0.0005)
            world.read(call, attempt)
    grown = world.service.limiter.limit
    world.pass_time(3600.0)
    begun(world, 1)
    assert world.service.limiter.limit == grown > 25


def test_it_can_be_switched_off():
    assert limited(enabled=False).service.limiter is None


def test_the_limit_is_of_all_workers_of_the_host():
    limit = InFlightLimit(InFlightOptions(start=19))
    limit.others(12.0, [20.0, 21.0])
    assert limit.limit == 20.0, "the mean of what the three have learned"
    limit.others(12.0, [])
    assert limit.limit == 20.0, "alone it keeps what it knows"


@pytest.mark.parametrize(("nonsense", "within"), [(1e8, (20.0, 22.0)), (1e-300, (19.0, 20.0))])
def test_nobodys_word_moves_it_further_than_one_answer_could(nonsense, within):
    limit = InFlightLimit(InFlightOptions(start=20))
    limit.others(12.0, [nonsense])
    assert within[0] <= limit.limit <= within[1]
    for _ in range(100):
        limit.others(12.0, [40.0])
    assert limit.limit == pytest.approx(40.0), "what is said for long is believed"
