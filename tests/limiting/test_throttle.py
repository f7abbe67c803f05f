"""Adaptive throttling: nothing while calls are accepted, about what would be refused while they are not, and back."""

from __future__ import annotations

import random
from math import inf

import pytest
from world import World

from meshware.core.errors import Overloaded
from meshware.core.outcome import Outcome, Verdict
from meshware.limiting.throttle import Throttle, ThrottleOptions


def outcome(verdict):
    made = Outcome(elapsed=0.01, status=200)
    made.verdict = verdict
    return made


class Callee:
    """Takes so many of the calls that reach it."""

    def __init__(self, **options):
        self.throttle = Throttle(ThrottleOptions(**options))
        self.rng = random.Random(1)
        self.now = 0.0

    def ask(self, count, accepts, *, rate=100):
        """How many of so many calls reached it, one after the other."""
        reached = 0
        for number in range(count):
            self.now += 1 / rate
            if self.throttle.refuses(self.rng, self.now):
                continue
            reached += 1
            good = Verdict.SUCCESS if accepts(number) else Verdict.OVERLOADED
            self.throttle.record(outcome(good), self.now)
        return reached


def test_nothing_is_refused_while_half_of_the_calls_are_accepted():
    assert Callee().ask(1000, lambda number: number % 2 == 0) >= 990


def test_a_callee_that_refuses_all_is_hardly_asked():
    callee = Callee()
    callee.ask(200, lambda number: True)
    callee.ask(1000, lambda number: False)
    assert callee.ask(1000, lambda number: False) < 30


def test_of_a_callee_that_takes_a_tenth_about_twice_as_much_is_asked():
    callee, due = Callee(), [0]

    def tenth(number):
        due[0] += 1
        return number % 10 == 0

    callee.ask(2000, tenth)
    assert callee.ask(2000, lambda number: number % 10 == 0) < 1000


def test_it_recovers_within_half_a_minute():
    callee = Callee()
    callee.ask(1000, lambda number: False)
    callee.ask(3000, lambda number: True)
    assert callee.ask(100, lambda number: True) == 100


@pytest.mark.parametrize("verdict", [Verdict.FAILURE, Verdict.NEUTRAL, Verdict.SUCCESS])
def test_only_an_overload_is_a_refusal(verdict):
    throttle, rng = Throttle(ThrottleOptions()), random.Random(1)
    for _ in range(100):
        throttle.record(outcome(verdict), 1.0)
        throttle.record(None, 1.0)
    assert not any(throttle.refuses(rng, 1.0) for _ in range(100))


# In a service


def refused(world):
    """What a call is refused for, or None; its answer is a 503 with Retry-After."""
    call = world.call("POST")
    try:
        attempt = call.begin(world.now)
    except Overloaded as error:
        return str(error)
    world.answer(call, attempt, 503, after=0.0, retry_after=0.0)
    world.read(call, attempt)
    return None


def test_calls_are_throttled_where_that_is_set():
    world = World(2, throttle={"enabled": True})
    said = [refused(world) for _ in range(200)]
    assert said[0] is None
    assert sum(each is None for each in said) < 50
    assert "throttled" in next(filter(None, said))
    assert not any(refused(World(2)) for _ in range(20))


def test_a_rate_limit_refuses_what_is_too_much_and_says_when_there_is_room():
    world = World(2, rate_limit={"rate": 10, "burst": 2}, limits={"enabled": False})
    world.succeed(2, elapsed=0.0)
    with pytest.raises(Overloaded, match=r"rate limit of 10 a second, 2 at once; next in 0\.100 s"):
        world.succeed()
    world.pass_time(0.1)
    world.succeed()
    limiter = world.service.limiter
    assert (limiter.in_flight, limiter.limit, limiter.spare) == (0, 0.0, inf)
    limiter.others(1.0, [2.0])
    assert world.in_flight() == 0


def test_the_in_flight_limit_is_still_behind_it():
    world = World(2, rate_limit={"rate": 1000, "burst": 1000}, limits={"start": 7})
    limiter = world.service.limiter
    call = world.call()
    attempt = call.begin(world.now)
    assert (limiter.in_flight, limiter.limit, limiter.spare) == (1, 7.0, 6.0)
    limiter.others(2.0, [7.5])
    assert (limiter.limit, limiter.spare) == (7.25, 4.25)
    world.answer(call, attempt)
    world.read(call, attempt)
    assert limiter.in_flight == 0
