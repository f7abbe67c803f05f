"""What tests of strategies do to a world: calls that stay open, answers of each endpoint's own kind."""

from __future__ import annotations

import sys
from collections import Counter

from world import World

from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Outcome


def fill(world, count):
    """So many calls that nobody answers; the limiter, if there is one, does not mind. What is then in flight, each."""
    world.service.limiter = None
    for _ in range(count):
        world.call().begin(world.now)
    return [each.load for each in world.endpoints]


def answered(world, *answers, count):
    """So many calls, one after another, each endpoint answering in its own way (seconds, status); the shares."""
    how, seen = dict(zip(world.endpoints, answers, strict=True)), Counter()
    for _ in range(count):
        call = world.call("POST")
        attempt = call.begin(world.now)
        elapsed, status = how[attempt.endpoint]
        seen[world.endpoints.index(attempt.endpoint)] += 1
        world.answer(call, attempt, status, after=elapsed)
        world.read(call, attempt, wire=elapsed)
    return seen


def fed(world, *times, count=50, **facts):
    """Each endpoint has just answered so often in so many seconds."""
    for endpoint, seconds in zip(world.endpoints, times, strict=True):
        for _ in range(count):
            endpoint.sample(seconds, False, Outcome(elapsed=seconds, status=200, **facts), world.now)
    return world


def operations(strategy, endpoints):
    """Function calls of one pick in a fleet of so many."""
    world = World(2, strategy=strategy)
    fleet = [Endpoint(f"10.{number // 250}.{number % 250}.1:80") for number in range(endpoints)]
    world.service.replace(fleet, world.now)
    call = world.call()
    call.now = world.now
    world.service.picker.pick(call)
    calls = []
    sys.setprofile(lambda frame, event, arg: calls.append(event))
    try:
        world.service.picker.pick(call)
    finally:
        sys.setprofile(None)
    return len(calls)
