"""Call, when those who drive it go away or a policy fails: what was taken is given back, once, and others decide."""

from __future__ import annotations

import asyncio
import threading

import pybreaker
import pytest
from core.policies import Hedging, Limiter, hedged_world
from world import World

from meshware.context import RequestContext
from meshware.core.call import Deliver, Lost, Raise, Retry, State
from meshware.core.errors import CircuitOpen, Overloaded
from meshware.core.events import PluginFailed
from meshware.core.outcome import Cause, Ending, Verdict


def limited_world(**settings):
    """A world in which every call may hedge, with room for one call at a time."""
    world = hedged_world(**settings)
    world.service.limiter = Limiter(1)
    return world


def failures(world):
    return [(each.plugin, each.error) for each in world.events if isinstance(each, PluginFailed)]


# One of two attempts is abandoned


def test_the_other_attempts_failure_decides_even_before_the_abandonment_was_settled():
    world = limited_world(retry={"attempts": 1})
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    call.abandon(first, world.now)
    assert isinstance(world.fail(call, second), Raise)
    world.service.settle(world.now)
    assert world.service.limiter.released == [Verdict.FAILURE]


def test_a_call_whose_only_attempt_was_abandoned_is_not_hedged():
    world = limited_world()
    call = world.call()
    call.abandon(call.begin(world.now), world.now)
    assert call.hedge(world.now) is None
    assert world.tokens == 2.0


def test_an_answer_that_comes_after_its_abandonment_is_lost():
    world = World()
    call = world.call()
    attempt = call.begin(world.now)
    call.abandon(attempt, world.now)
    assert isinstance(world.answer(call, attempt), Lost)
    world.service.settle(world.now)
    assert attempt.state is State.ABANDONED


def test_the_call_ends_once_when_one_attempt_fails_while_the_others_abandonment_is_settled():
    for _ in range(200):
        world = limited_world(retry={"attempts": 1})
        call = world.call()
        first, second = call.begin(world.now), call.hedge(world.now)
        barrier = threading.Barrier(2)

        def settle(call=call, first=first, world=world, barrier=barrier):
            call.abandon(first, world.now)
            barrier.wait()
            world.service.settle(world.now)

        other = threading.Thread(target=settle)
        other.start()
        barrier.wait()
        assert isinstance(world.fail(call, second), Raise)
        other.join()
        world.service.settle(world.now)
        assert len(world.service.limiter.released) == 1


def test_a_hedge_after_which_nothing_may_follow_has_all_the_time_and_its_cut_is_judged_by_that():
    world = World(timeout=0.5, retry={"attempts": 1})
    world.succeed(30, elapsed=0.1)
    world.service.hedging = Hedging()
    call = world.call()
    call.begin(world.now)
    world.now += 0.4
    second = call.hedge(world.now)
    assert second.deadline == second.connect_by == call.deadline.at
    world.fail(call, second, Cause.TIMEOUT, after=0.1, error=None)
    assert second.outcome.verdict is Verdict.NEUTRAL  # it had 100 ms where 300 ms are usual


# Whoever drives it leaves


def test_leaving_while_a_retry_waits_ends_the_old_answer_and_refunds_the_new_attempt():
    world = limited_world()
    context = RequestContext()
    call = world.call(context=context)
    attempt = call.begin(world.now)
    step = world.answer(call, attempt, 503)
    assert isinstance(step, Retry)
    call.leave(attempt, world.now)
    call.leave(attempt, world.now)
    assert world.in_flight() == 0
    world.service.settle(world.now)
    assert world.tokens == 2.0
    assert [context.spend() for _ in range(4)] == [True, True, True, False]
    assert world.service.limiter.released == [None]


def test_leaving_with_a_hedge_under_way_abandons_both():
    world = limited_world()
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    call.leave(first, world.now)
    assert (first.state, second.state) == (State.ABANDONED, State.ABANDONED)
    world.service.settle(world.now)
    assert world.service.limiter.released == [None]


def test_leaving_a_delivered_answer_drops_it():
    world = limited_world()
    call = world.call()
    attempt = call.begin(world.now)
    assert isinstance(world.answer(call, attempt), Deliver)
    call.leave(attempt, world.now)
    world.service.settle(world.now)
    assert attempt.state is State.ENDED
    assert world.service.limiter.released == [Verdict.SUCCESS]


def test_leaving_a_call_that_is_over_changes_nothing():
    world = limited_world()
    call = world.call("POST")
    attempt = call.begin(world.now)
    assert isinstance(world.fail(call, attempt), Raise)
    call.leave(attempt, world.now)
    assert not world.service.inbox
    assert world.service.limiter.released == [Verdict.FAILURE]


def test_leaving_a_call_that_was_refused_changes_nothing():
    world = limited_world()
    world.service.limiter.room = 0
    call = world.call()
    with pytest.raises(Overloaded):
        call.begin(world.now)
    call.leave(None, world.now)
    world.service.settle(world.now)
    assert world.service.limiter.released == []


def test_leaving_takes_no_lock():
    """A coroutine that is collected leaves by GeneratorExit, inside whatever the thread was doing."""
    world = World()
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt, 503)
    with world.service.budget._lock, world.service.ejection._lock:  # of this very thread: to take them would hang
        call.leave(attempt, world.now)
    assert world.in_flight() == 0


@pytest.mark.parametrize("error", [KeyboardInterrupt, asyncio.CancelledError])
def test_a_beginning_that_is_interrupted_gives_all_back(error):
    world = World(1, retry={"attempts": 1}, ejection={"enabled": False})
    for _ in range(20):
        call = world.call()
        world.fail(call, call.begin(world.now), after=0.2)
    world.pass_time(5)
    limiter = world.service.limiter = Limiter(1)

    class Failing:
        def delay(self, call, now):
            raise error

    world.service.hedging = Failing()
    with pytest.raises(error):
        world.call().begin(world.now)
    assert limiter.room == 1
    assert world.in_flight() == 0
    world.service.hedging = None
    world.call().begin(world.now)  # the circuit's trial may be had again
    with pytest.raises(CircuitOpen):
        world.call().begin(world.now)


# A policy of the user's fails


class BadMeter:
    """Its readings raise."""

    def fleet(self):
        return None

    def reading(self, fleet):
        return self

    def sample(self, elapsed, failed, outcome, now):
        raise ZeroDivisionError("meter")


def test_a_meter_that_raises_never_breaks_a_call():
    world = World(1)
    world.endpoints[0].attach(BadMeter())
    call = world.call("POST")
    attempt = call.begin(world.now)
    assert isinstance(world.answer(call, attempt, 500), Deliver)
    world.read(call, attempt)
    world.succeed()
    assert world.in_flight() == 0
    assert failures(world) == [("meter", "ZeroDivisionError: meter")] * 2


def test_an_ending_that_fails_does_not_break_the_call_that_settles_it():
    world = World()

    def raising(*facts):
        raise ValueError("hook")

    world.service.on_end = (raising,)
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    call.ended(attempt, Ending.COMPLETE, 0.01, world.now)
    world.call().begin(world.now)
    assert failures(world) == [("ending", "ValueError: hook")]


class BadListener(pybreaker.CircuitBreakerListener):
    """Raises whatever it is told."""

    def failure(self, breaker, error):
        raise ValueError("listener")

    def state_change(self, breaker, old, new):
        raise ValueError("listener")


class BadStorage(pybreaker.CircuitMemoryStorage):
    """As where the store that holds the state can be reached no more."""

    reached = True

    @property
    def state(self):
        if not self.reached:
            raise ConnectionError("store")
        return "closed"


def test_a_breaker_of_the_users_that_raises_never_breaks_a_call_nor_loses_its_trial():
    breaker = pybreaker.CircuitBreaker(fail_max=2, reset_timeout=1, listeners=[BadListener()])
    world = World(2, circuit={"breaker": breaker}, ejection={"enabled": False})
    for _ in range(10):
        world.pass_time(5)
        call = world.call("POST")
        assert isinstance(world.answer(call, call.begin(world.now), 500), Deliver)
    assert {each[0] for each in failures(world)} == {"circuit"}


def test_a_breaker_of_the_users_whose_state_cannot_be_read_lets_all_through():
    storage = BadStorage("closed")
    world = World(2, circuit={"breaker": pybreaker.CircuitBreaker(state_storage=storage)})
    storage.reached = False
    world.succeed(3)
    assert world.in_flight() == 0
    assert failures(world) == [("circuit", "ConnectionError: store")] * 3
