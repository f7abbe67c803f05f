"""A policy of ours that raises never ends a call: the stand-in decides, the answer stands, all is given back."""

from __future__ import annotations

from collections import deque

import pytest
from core.policies import Limiter, hedged_world
from world import World

from meshware.core.availability import Bar
from meshware.core.call import Deliver, Lost, Raise, Wait
from meshware.core.errors import NoEndpoint
from meshware.core.events import PluginFailed
from meshware.core.outcome import Ending


class Broken(Exception):
    """What a policy of ours raises here."""


def broken(*_args, **_named):
    raise Broken


class Part:
    """Stands for a policy: what is named raises, all else is the policy's own."""

    def __init__(self, inner, *names):
        self._inner, self._names = inner, names

    def __getattr__(self, name):
        return broken if name in self._names else getattr(self._inner, name)


def with_broken(world, part, *names):
    setattr(world.service, part, Part(getattr(world.service, part), *names))
    return world


def failures(world):
    return [(each.plugin, each.error) for each in world.events if isinstance(each, PluginFailed)]


def ejected_world():
    """The first of three endpoints is out, and its trial is due."""
    world = World(3, retry={"attempts": 1})
    while not world.service.ejection.waiting:
        call = world.call()
        attempt = call.begin(world.now)
        if attempt.endpoint is world.endpoints[0]:
            world.fail(call, attempt)
        else:
            world.answer(call, attempt)
            world.read(call, attempt)
    world.pass_time(5.0)
    return world


class Done:
    """Hears how calls end."""

    def __init__(self, world):
        self.errors = []
        world.service.on_done = (lambda call, error, now: self.errors.append(error),)


def test_a_call_whose_beginning_fails_goes_out_once_by_the_stand_in():
    world = with_broken(World(3), "budget", "request")
    call = world.call()
    attempt = call.begin(world.now)
    assert attempt.deadline == call.deadline.at
    assert isinstance(world.answer(call, attempt), Deliver)
    world.read(call, attempt)
    assert world.in_flight() == 0
    assert failures(world) == [("policy", "Broken: ")]


def test_a_call_whose_beginning_fails_is_not_over_when_another_thread_settles_at_once():
    world = with_broken(World(3), "budget", "request")

    class SettledAtOnce(deque):
        def append(self, left):
            super().append(left)
            world.service.settle(world.now)

    world.service.inbox = SettledAtOnce()
    call = world.call()
    assert isinstance(world.answer(call, call.begin(world.now)), Deliver)


def test_without_any_endpoint_it_says_so_and_gives_all_back():
    world = with_broken(World(1), "retry", "retryable")
    done = Done(world)
    world.endpoints[0].availability.bar(Bar.REMOVED)
    with pytest.raises(NoEndpoint):
        world.call().begin(world.now)
    assert [type(each) for each in done.errors] == [NoEndpoint]
    assert world.in_flight() == 0


@pytest.mark.parametrize("part, name", [("ejection", "record"), ("budget", "withdraw"), ("retry", "allows")])
def test_a_failure_stands_as_it_came_when_a_policy_fails_at_it(part, name):
    world = with_broken(World(3), part, name)
    done = Done(world)
    call = world.call()
    attempt = call.begin(world.now)
    step = world.fail(call, attempt)
    assert isinstance(step, Raise)
    assert done.errors == [step.error]
    assert world.in_flight() == 0
    assert isinstance(world.fail(call, attempt), Lost)


def test_an_answer_stands_as_it_came():
    world = with_broken(World(3), "retry", "allows")
    call = world.call()
    attempt = call.begin(world.now)
    assert isinstance(world.answer(call, attempt, 503), Deliver)
    assert world.in_flight() == 1
    world.read(call, attempt)
    assert world.in_flight() == 0


def test_what_was_decided_before_a_policy_failed_is_done():
    world = with_broken(World(3), "budget", "deposit")
    done = Done(world)
    call = world.call()
    attempt = call.begin(world.now)
    assert isinstance(world.answer(call, attempt), Deliver)
    world.read(call, attempt)
    assert done.errors == [None]
    assert world.in_flight() == 0


def test_a_trial_whose_outcome_cannot_be_recorded_may_be_had_again():
    world = ejected_world()
    real = world.service.ejection
    world.service.ejection = Part(real, "record")
    call = world.call()
    attempt = call.begin(world.now)
    assert attempt.lease is not None
    world.answer(call, attempt)
    world.service.ejection = real
    again = world.call()
    assert again.begin(world.now).lease is not None


def test_nor_can_it_be_given_back_and_the_call_ends_all_the_same():
    world = with_broken(ejected_world(), "ejection", "record", "release")
    call = world.call()
    assert isinstance(world.answer(call, call.begin(world.now)), Deliver)
    assert [plugin for plugin, _ in failures(world)] == ["policy", "ejection"]


def test_a_failed_hedge_waits_for_the_other_whose_answer_is_delivered():
    world = hedged_world()
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    with_broken(world, "ejection", "record")
    assert isinstance(world.fail(call, first), Wait)
    assert isinstance(world.answer(call, second), Deliver)
    world.read(call, second)
    assert world.in_flight() == 0


def test_a_loser_of_a_hedge_is_lost_all_the_same():
    world = hedged_world()
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    with_broken(world, "ejection", "record")
    assert isinstance(world.answer(call, second), Deliver)
    assert isinstance(world.answer(call, first), Lost)
    for each in (first, second):
        world.read(call, each, Ending.DROPPED)
    assert world.in_flight() == 0


def test_a_held_answer_is_delivered_when_the_other_attempt_fails():
    world = hedged_world(retry={"attempts": 1})
    call = world.call()
    first, second = call.begin(world.now), call.hedge(world.now)
    assert isinstance(world.answer(call, first, 503), Wait)
    with_broken(world, "ejection", "record")
    step = world.fail(call, second)
    assert isinstance(step, Deliver)
    assert step.attempt is first


def test_a_hedge_that_cannot_be_had_leaves_the_first_alone():
    world = with_broken(hedged_world(), "budget", "withdraw")
    call = world.call()
    first = call.begin(world.now)
    assert call.hedge(world.now) is None
    assert isinstance(world.answer(call, first), Deliver)


def test_whether_a_late_attempt_may_go_on_is_not_known_so_it_does():
    world = World(3, attempt_timeout=0.1)
    call = world.call()
    attempt = call.begin(world.now)
    with_broken(world, "budget", "affordable")
    assert call.overdue(attempt, world.now + 0.2) == call.deadline.at


@pytest.mark.parametrize("ending", Ending)
def test_a_bodys_end_gives_its_place_back_whichever_policy_fails_at_it(ending):
    world = World(3)
    limiter = world.service.limiter = Limiter(1)
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    with_broken(with_broken(world, "ejection", "body"), "guard", "record")
    world.read(call, attempt, ending)
    assert limiter.room == 1
    assert [plugin for plugin, _ in failures(world)] == ["ending"]


def test_an_abandoned_call_gives_its_place_back_too():
    world = World(3)
    limiter = world.service.limiter = Limiter(1)
    call = world.call()
    attempt = call.begin(world.now)
    with_broken(world, "ejection", "release")
    call.abandon(attempt, world.now)
    world.service.settle(world.now)
    assert limiter.room == 1


def test_a_limiter_that_cannot_let_go_is_told_of_and_the_call_ends():
    world = World(3)
    world.service.limiter = Part(Limiter(1), "release")
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    world.read(call, attempt)
    assert failures(world) == [("limiter", "Broken: ")]
    assert world.in_flight() == 0
