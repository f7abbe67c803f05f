"""Contextual: who got the heavy requests is not slow, and who is slow at these only is good for the rest."""

from __future__ import annotations

import tracemalloc
from collections import Counter

import pytest
from world import World, request

from meshware.balancing.contextual import Contextual
from meshware.balancing.operation_model import UNKNOWN
from meshware.core.availability import Bar
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.telling import Pick
from meshware.testing import check_strategy

ALONE = {"ejection": {"enabled": False}, "circuit": {"enabled": False}, "retry": {"attempts": 1}, "guard": 1.0}
TIMES = {"/items": 0.004, "/report": 0.12}


def fleet(endpoints=3, **settings):
    """A world under `contextual`, without what else keeps endpoints away."""
    world = World(endpoints, strategy="contextual", **(ALONE | settings))
    world.service.on_answer, world.service.on_end = (strategy(world).on_answer,), (strategy(world).on_end,)
    return world


def strategy(world):
    return world.service.learner


def ask(world, path, *, slow=None, status=200):
    """One call; where it went. `slow`: by the endpoint's address and path, so many times slower."""
    call = world.call(path=path)
    attempt = call.begin(world.now)
    where = attempt.endpoint.address
    elapsed = TIMES[path] * (slow or {}).get((where, path), 1.0)
    world.answer(call, attempt, status, after=elapsed)
    world.read(call, attempt, wire=elapsed)
    return where


def shares(world, count, path, **facts):
    """Where so many go, one report among twenty others being told all the time."""
    seen = Counter()
    for _ in range(count):
        for _ in range(4):
            ask(world, "/items", **facts)
        seen[ask(world, path, **facts)] += 1
    return seen


@pytest.mark.parametrize("written", ["contextual", {"contextual": {"choices": 2}}])
def test_it_passes_the_check(written):
    check_strategy(written)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="choices must be a whole number"):
        Contextual(choices=1)


def test_who_is_slow_at_one_operation_is_left_for_that_only():
    world = fleet()
    slow = {(world.endpoints[0].address, "/report"): 2.0}
    shares(world, 100, "/report", slow=slow)
    assert strategy(world).model.trusted
    reports = shares(world, 300, "/report", slow=slow)
    items = shares(world, 300, "/items", slow=slow)
    assert reports[world.endpoints[0].address] < 30
    assert items[world.endpoints[0].address] > 75


def test_who_got_the_heavy_requests_is_not_slow():
    world = fleet(2)
    first, second = world.endpoints
    shares(world, 50, "/report")
    for _ in range(20):
        for other, path in ((second, "/report"), (first, "/items")):
            other.availability.bar(Bar.DRAINED)
            world.service.refresh(world.now)
            for _ in range(10):
                ask(world, path)
            other.availability.lift(Bar.DRAINED)
            world.service.refresh(world.now)
    seen = shares(world, 300, "/items")
    assert 100 < seen[first.address] < 200


def test_equal_operations_are_left_to_adaptive():
    world = fleet()
    for _ in range(500):
        call = world.call(path=world.rng.choice(["/items", "/report"]))
        attempt = call.begin(world.now)
        elapsed = world.rng.expovariate(100)
        world.answer(call, attempt, after=elapsed)
        world.read(call, attempt, wire=elapsed)
    assert not strategy(world).model.trusted


def test_operations_that_are_seen_once_prove_nothing():
    world = fleet()
    for number in range(500):
        call = world.call(path=f"/page-{number}")
        attempt = call.begin(world.now)
        elapsed = world.rng.expovariate(100)
        world.answer(call, attempt, after=elapsed)
        world.read(call, attempt, wire=elapsed)
    assert not strategy(world).model.trusted


def test_once_the_operations_mean_nothing_they_are_not_listened_to():
    world = fleet()
    shares(world, 100, "/report")
    assert strategy(world).model.trusted
    began = world.now
    while world.now < began + 5.0:
        call = world.call(path=world.rng.choice(["/items", "/report"]))
        attempt = call.begin(world.now)
        elapsed = world.rng.expovariate(100)
        world.answer(call, attempt, after=elapsed)
        world.read(call, attempt, wire=elapsed)
    assert not strategy(world).model.trusted


def test_one_that_fails_at_once_is_left_though_it_is_fast():
    world = fleet()
    shares(world, 100, "/report")
    bad, seen = world.endpoints[1].address, Counter()
    for _ in range(400):
        call = world.call(path="/report")
        attempt = call.begin(world.now)
        seen[attempt.endpoint.address] += 1
        failed = attempt.endpoint.address == bad
        elapsed = 0.001 if failed else TIMES["/report"]
        world.answer(call, attempt, 500 if failed else 200, after=elapsed)
        world.read(call, attempt, wire=elapsed)
    assert seen[bad] < 10


def test_what_has_no_whole_answer_teaches_nothing():
    world = fleet(1)
    ask(world, "/items")
    call = world.call()
    attempt = call.begin(world.now)
    world.answer(call, attempt)
    world.read(call, attempt, Ending.BROKEN)
    call = world.call()
    world.fail(call, call.begin(world.now), Cause.REFUSED)
    assert strategy(world).model.usual("GET /items").samples == 1
    assert strategy(world).model.usual("GET /never") is UNKNOWN


def test_what_a_call_is_expected_to_cost_can_be_told():
    world = fleet()
    address = world.endpoints[0].address
    shares(world, 100, "/report", slow={(address, "/report"): 2.0})
    call, pick = world.call(path="/report"), Pick()
    call.now = world.now
    world.service.picker.explain(call, pick)
    told = pick.candidates[address].terms
    assert told["operation"] == pytest.approx(0.12, rel=0.3)
    assert told["factor"] > 1.3
    assert told["in_flight"] == 0
    assert told["price"] == 0.0
    other = pick.candidates[world.endpoints[1].address].terms
    assert other["operation"] * other["pace"] * other["factor"] == pytest.approx(0.12, rel=0.1)


def test_what_is_learned_takes_little_memory_however_much_there_is_to_learn():
    world = World(10, strategy="adaptive")
    operations = [world.service.operations.of(request("GET", f"/{name:x}-")).name for name in range(100)]
    outcome = Outcome(elapsed=0.01, status=200)
    tracemalloc.start()
    made = Contextual()
    made.picker(world.endpoints)
    readings = [each.readings[made.beside] for each in world.endpoints]
    for number in range(20_000):
        made.model.learn(operations[number % 100], 0.01, readings[number % 10], 0.01, outcome, world.now)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size <= 64 * 1024
