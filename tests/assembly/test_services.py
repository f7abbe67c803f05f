"""Every setting of a service does what its name says, in the services that assembly makes."""

from __future__ import annotations

import pybreaker
import pytest
from world import World

from meshware import CircuitOpen, DeadlineExceeded
from meshware.assembly.services import assemble
from meshware.core.call import Deliver, Raise, Retry
from meshware.core.events import CircuitOpened, EndpointEjected, GuardTurned
from meshware.core.outcome import Cause
from meshware.settings.load import load


def failing_call(world, status=500):
    """A call that ends with this status, without a second attempt."""
    call = world.call("POST")
    step = world.answer(call, call.begin(world.now), status)
    assert isinstance(step, Deliver)


def kinds(world):
    return [type(each) for each in world.events]


# Times


def test_a_timeout_bounds_the_call_and_is_a_choice():
    call = World(timeout=2.0).call()
    attempt = call.begin(1000.0)
    assert attempt.deadline == 1002.0
    assert call.deadline.chosen


def test_without_a_timeout_the_default_bounds_it_and_nobody_chose_it():
    call = World().call()
    call.begin(1000.0)
    assert (call.deadline.at, call.deadline.chosen) == (1010.0, False)


def test_a_connect_has_its_own_timeout():
    assert World(connect_timeout=0.2).call().begin(1000.0).connect_by == 1000.2
    assert World(connect_timeout=5.0, timeout=2.0).call().begin(1000.0).connect_by == 1002.0


@pytest.mark.parametrize(("limit", "seconds"), [(0.4, 0.4), ("adaptive", 0.1), (None, 10.0)])
def test_an_attempt_timeout_is_fixed_adaptive_or_off(limit, seconds):
    world = World(attempt_timeout=limit)
    world.succeed(30, elapsed=0.01)
    assert world.call().begin(world.now).deadline == pytest.approx(world.now + seconds)


def test_a_failure_costs_5_seconds_or_the_timeout_when_that_is_shorter():
    assert World(timeout=2.0).service.penalty == 2.0
    assert World().service.penalty == 5.0


# Retries


def test_attempts_are_as_many_as_set():
    world = World(retry={"attempts": 3, "budget": {"minimum": 10}})
    call = world.call()
    steps = [world.answer(call, call.begin(world.now), 503)]
    while isinstance(steps[-1], Retry):
        steps.append(world.answer(call, steps[-1].attempt, 503))
    assert [type(each) for each in steps] == [Retry, Retry, Deliver]


@pytest.mark.parametrize(
    ("retry", "method", "status", "again"),
    [
        ({}, "GET", 503, True),
        ({}, "GET", 500, False),
        ({"statuses": [500]}, "GET", 500, True),
        ({"statuses": [500]}, "GET", 503, False),
        ({}, "POST", 503, False),
        ({"methods": ["POST"]}, "POST", 503, True),
        ({"methods": ["POST"]}, "GET", 503, False),
        ({"attempts": 1}, "GET", 503, False),
        ({"budget": {"minimum": 0, "ratio": 0}}, "GET", 503, False),
    ],
)
def test_what_is_sent_again_is_as_set(retry, method, status, again):
    world = World(retry=retry)
    call = world.call(method)
    assert isinstance(world.answer(call, call.begin(world.now), status), Retry) is again


def test_the_back_off_is_as_set():
    world = World(retry={"base": 4.0, "cap": 4.0, "attempts": 10, "budget": {"minimum": 1000}})
    waits = []
    for _ in range(50):
        call = world.call()
        waits.append(world.answer(call, call.begin(world.now), 503).after)
    assert 1.0 < sum(waits) / len(waits) < 3.0
    assert max(waits) <= 4.0


def test_the_budget_earns_its_ratio():
    world = World(retry={"budget": {"ratio": 0.5, "minimum": 1, "window": 60}})
    before = world.tokens
    world.succeed(10)
    assert (before, world.tokens) == (1.0, 5.0)


# Ejection, circuit, guard, panic


def test_ejection_counts_as_set():
    world = World(ejection={"consecutive": 2, "minimum": 100})
    endpoint = world.endpoints[0]
    while not endpoint.bars:
        call = world.call("POST")
        attempt = call.begin(world.now)
        if attempt.endpoint is endpoint:
            world.answer(call, attempt, 500)
        else:
            world.answer(call, attempt)
            world.read(call, attempt)
    (ejected,) = [each for each in world.events if isinstance(each, EndpointEjected)]
    assert (ejected.address, ejected.reason) == (endpoint.address, "2 failures in a row")


def test_ejection_can_be_off():
    world = World(ejection={"enabled": False}, circuit={"enabled": False})
    for _ in range(50):
        failing_call(world)
    assert not any(each.bars for each in world.endpoints)
    assert CircuitOpened not in kinds(world)


@pytest.mark.parametrize(("slow_start", "warms"), [(10.0, True), (0, False)])
def test_a_returned_endpoint_starts_slowly_unless_told_otherwise(slow_start, warms):
    world = World(slow_start=slow_start)
    call = world.call()
    attempt = call.begin(world.now)
    world.fail(call, attempt, Cause.REFUSED, sent=False)
    world.pass_time(20.0)
    world.service.ejection.connected(attempt.endpoint, True, world.now)
    assert attempt.endpoint.availability.state() == ("warming up" if warms else "available")


def test_the_circuit_opens_by_the_rules_that_are_set():
    world = World(circuit={"calls": 3, "span": 1.0, "base": 5.0, "jitter": 0.0}, ejection={"enabled": False})
    for _ in range(3):
        failing_call(world)
        world.pass_time(0.6)
    with pytest.raises(CircuitOpen):
        world.call().begin(world.now)
    (opened,) = [each for each in world.events if isinstance(each, CircuitOpened)]
    assert opened.until == pytest.approx(opened.at + 5.0)


def test_the_circuit_opens_by_rate_when_one_is_set():
    world = World(circuit={"failure_rate": 0.5, "minimum": 4}, ejection={"enabled": False}, guard=1.0)
    world.succeed(2)
    failing_call(world)
    assert CircuitOpened not in kinds(world)
    failing_call(world)
    assert CircuitOpened in kinds(world)


@pytest.mark.parametrize(("guard", "turned"), [(0.1, True), (0.9, False)])
def test_the_guard_turns_at_its_share(guard, turned):
    world = World(guard=guard, ejection={"enabled": False}, circuit={"enabled": False})
    for _ in range(20):
        failing_call(world)
    assert (GuardTurned in kinds(world)) is turned
    assert world.service.guard.on is turned


def test_the_guard_forgets_what_meters_have_learned_when_it_turns():
    world = World(strategy="peak_ewma", guard=0.1, ejection={"enabled": False}, circuit={"enabled": False})
    world.succeed(30, elapsed=1.0)
    assert all(each.samplers[0].value(world.now) > 0 for each in world.endpoints)
    while not world.service.guard.on:
        world.service.guard.record(True, world.now)
    assert all(each.samplers[0].value(world.now) == 0 for each in world.endpoints)
    assert world.service.changed


@pytest.mark.parametrize(("panic", "uses"), [(0.5, 3), (0.1, 1)])
def test_panic_uses_all_under_its_share(panic, uses):
    world = World(panic=panic, guard=0.01, circuit={"enabled": False}, retry={"attempts": 1})
    dead = world.endpoints[:2]
    while sum(bool(each.bars) for each in dead) < 2:
        call = world.call()
        attempt = call.begin(world.now)
        if attempt.endpoint in dead:
            world.fail(call, attempt, Cause.REFUSED, sent=False)
    assert world.service.guard.on
    world.keep_house()
    assert len({world.call().begin(world.now).endpoint for _ in range(40)}) == uses


# A breaker of the user's own


class Heard(pybreaker.CircuitBreakerListener):
    """Notes the states that a breaker goes to."""

    def __init__(self):
        self.states = []

    def state_change(self, cb, old_state, new_state):
        self.states.append(new_state.name)


def test_a_breaker_of_the_users_own_opens_by_its_own_rules_and_tells_its_listeners():
    heard = Heard()
    breaker = pybreaker.CircuitBreaker(fail_max=3, reset_timeout=60, listeners=[heard])
    world = World(circuit={"breaker": breaker}, ejection={"enabled": False})
    for _ in range(3):
        failing_call(world)
    assert breaker.current_state == "open"
    assert heard.states == ["open"]
    with pytest.raises(CircuitOpen) as caught:
        world.call().begin(world.now)
    assert caught.value.wait == pytest.approx(60.0)


def test_a_success_ends_the_count_of_the_users_own_breaker():
    breaker = pybreaker.CircuitBreaker(fail_max=3)
    world = World(circuit={"breaker": breaker}, ejection={"enabled": False})
    for _ in range(5):
        failing_call(world)
        failing_call(world)
        world.succeed()
    assert breaker.current_state == "closed"


def test_a_breaker_opened_by_hand_refuses_calls_and_closed_by_hand_lets_them_through():
    breaker = pybreaker.CircuitBreaker()
    world = World(circuit={"breaker": breaker})
    breaker.open()
    with pytest.raises(CircuitOpen):
        world.call().begin(world.now)
    breaker.close()
    world.succeed()


def test_the_rules_of_the_settings_hold_beside_the_breakers_own():
    breaker = pybreaker.CircuitBreaker(fail_max=1000)
    world = World(circuit={"breaker": breaker, "calls": 2, "span": 0.01}, ejection={"enabled": False})
    for _ in range(3):
        failing_call(world)
    assert breaker.current_state == "open"


# The rest


def test_a_scorer_alone_gets_the_generic_chooser():
    world = World(strategy={"least_request": {"choices": 3}})
    busy = world.call().begin(world.now).endpoint
    assert busy not in {world.call().begin(world.now).endpoint for _ in range(2)}


def test_host_and_tls_reach_the_doors():
    service = World(host="endpoint", tls={"server_name": "shop.example"}).service
    assert (service.host, service.tls.server_name) == ("endpoint", "shop.example")


def test_what_is_known_of_an_endpoint_reaches_the_strategy():
    one = {"address": "10.0.0.1:80", "weight": 3, "locality": "aws/eu/a", "metadata": {"version": "2"}}
    settings = load({"services": {"shop": {"endpoints": [one]}}})
    world = World()
    (endpoint,) = assemble(settings, {}, rng=world.rng, emit=world.events.append, now=0.0)["shop"].endpoints
    assert (endpoint.weight, endpoint.locality, endpoint.metadata) == (3.0, ("aws", "eu", "a"), {"version": "2"})


def test_a_call_past_its_deadline_is_not_begun():
    world = World(timeout=1.0)
    call = world.call()
    attempt = call.begin(world.now)
    step = world.fail(call, attempt, Cause.TIMEOUT, after=1.0)
    assert isinstance(step, Raise)
    assert isinstance(step.error, DeadlineExceeded)
