"""Call: what the end of a body says, and what an abandonment does not."""

from __future__ import annotations

import gc

import pytest
from core.policies import Recorder
from world import World

from meshware.context import RequestContext
from meshware.core.call import State
from meshware.core.outcome import Ending


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


def test_a_failure_counts_ten_paces_once_the_pace_is_known_and_is_at_par_again_in_half_a_minute():
    world = World(1, strategy="peak_ewma")
    world.succeed(40, elapsed=0.02)
    call = world.call("POST")
    world.answer(call, call.begin(world.now), 500, after=0.001)
    reading = world.endpoints[0].samplers[0]
    assert reading.value(world.now) == pytest.approx(0.2, rel=0.1)
    assert reading.value(world.now + 25) < 0.02


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
