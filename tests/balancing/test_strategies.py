"""The built-in strategies: a distribution over 10,000 picks with its bound, and what each must not do."""

from __future__ import annotations

from collections import Counter

import pytest
from measuring import operations
from world import World

from meshware.core.outcome import Ending, Outcome

ANSWER = Outcome(elapsed=0.1, status=200)

STRATEGIES = ["round_robin", "random", "least_request", "peak_ewma"]


def weighted(strategy, *weights):
    """A world whose endpoints weigh so much."""
    world = World(len(weights), strategy=strategy)
    for endpoint, weight in zip(world.endpoints, weights, strict=True):
        endpoint.weight = weight
    world.service.refresh(world.now)
    return world


@pytest.mark.parametrize(
    ("strategy", "bound"), [("round_robin", 1), ("random", 250), ("least_request", 250), ("peak_ewma", 250)]
)
def test_equal_endpoints_get_equal_shares(strategy, bound):
    seen = World(4, strategy=strategy).picks(10_000)
    assert all(abs(count - 2500) <= bound for count in seen.values())


@pytest.mark.parametrize(("strategy", "bound"), [("round_robin", 1), ("random", 250)])
def test_shares_follow_the_weights(strategy, bound):
    seen = weighted(strategy, 1.0, 2.0, 5.0).picks(10_000)
    for address, share in (("10.0.0.1:80", 1250), ("10.0.0.2:80", 2500), ("10.0.0.3:80", 6250)):
        assert abs(seen[address] - share) <= bound


@pytest.mark.parametrize("strategy", ["least_request", "peak_ewma"])
def test_of_two_the_one_with_more_weight_is_kept_busier(strategy):
    world = weighted(strategy, 1.0, 3.0)
    if strategy == "peak_ewma":
        world.succeed(50)
    for _ in range(400):
        world.call().begin(world.now)
    light, heavy = (each.load for each in world.endpoints)
    assert heavy / light == pytest.approx(3.0, rel=0.15)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_endpoint_takes_all(strategy):
    assert World(1, strategy=strategy).picks(10) == {"10.0.0.1:80": 10}


@pytest.mark.parametrize("strategy", ["least_request", "peak_ewma"])
def test_the_idle_one_of_two_is_taken(strategy):
    world = World(2, strategy=strategy)
    for _ in range(20):
        world.call().begin(world.now)
    assert [each.load for each in world.endpoints] == [10, 10]


def test_round_robin_interleaves_weights_smoothly():
    world = weighted("round_robin", 1.0, 2.0)
    row = [world.call().begin(world.now).endpoint.address[-4] for _ in range(30)]
    assert "222" not in "".join(row)
    assert "11" not in "".join(row)


def test_round_robins_of_several_workers_do_not_start_in_step():
    first = {World(5, strategy="round_robin", seed=seed).call().begin(1000.0).endpoint.address for seed in range(40)}
    assert len(first) == 5


# Peak EWMA


def answered_in(world, times, count):
    """So many calls, one after another, each endpoint answering in its own time; the shares."""
    seen = Counter()
    for _ in range(count):
        call = world.call("POST")
        attempt = call.begin(world.now)
        seen[attempt.endpoint.address] += 1
        elapsed, status = times[attempt.endpoint.address]
        world.answer(call, attempt, status, after=elapsed)
        world.read(call, attempt, Ending.COMPLETE, wire=elapsed)
    return seen


def test_a_slow_endpoint_gets_little():
    world = World(3, strategy="peak_ewma")
    times = {"10.0.0.1:80": (0.2, 200), "10.0.0.2:80": (0.01, 200), "10.0.0.3:80": (0.01, 200)}
    assert answered_in(world, times, 1000)["10.0.0.1:80"] <= 20


def test_a_fast_failure_is_no_fast_endpoint():
    world = World(3, strategy="peak_ewma", ejection={"enabled": False}, circuit={"enabled": False})
    times = {"10.0.0.1:80": (0.001, 500), "10.0.0.2:80": (0.01, 200), "10.0.0.3:80": (0.01, 200)}
    assert answered_in(world, times, 1000)["10.0.0.1:80"] <= 20


def test_a_slow_endpoint_that_recovers_is_found_again():
    world = World(2, strategy="peak_ewma")
    slow = {"10.0.0.1:80": (0.5, 200), "10.0.0.2:80": (0.01, 200)}
    answered_in(world, slow, 200)
    well = {"10.0.0.1:80": (0.01, 200), "10.0.0.2:80": (0.01, 200)}
    answered_in(world, well, 5000)
    assert answered_in(world, well, 1000)["10.0.0.1:80"] > 300


def test_an_endpoint_that_nothing_is_known_of_counts_as_the_other_does():
    world = World(2, strategy="peak_ewma")
    answered_in(world, {each.address: (0.01, 200) for each in world.endpoints}, 1)
    seen = world.picks(1000)
    assert min(seen.values()) > 400


def test_under_the_guard_it_is_plain_least_request():
    world = World(2, strategy="peak_ewma")
    answered_in(world, {"10.0.0.1:80": (1.0, 200), "10.0.0.2:80": (0.01, 200)}, 200)
    world.service.guard.on = True
    seen = world.picks(1000)
    assert min(seen.values()) > 400


def test_a_retry_goes_to_the_best_of_those_that_were_not_tried():
    world = World(3, strategy="peak_ewma", ejection={"enabled": False}, circuit={"enabled": False}, guard=1.0)
    times = {"10.0.0.1:80": (0.5, 200), "10.0.0.2:80": (0.3, 200), "10.0.0.3:80": (0.01, 200)}
    for address, (elapsed, _) in times.items():
        next(each for each in world.endpoints if each.address == address).sample(elapsed, False, ANSWER, world.now)
    world.service.budget.withdraw = lambda now: True
    for _ in range(50):
        call = world.call()
        first = call.begin(world.now)
        step = world.answer(call, first, 504, after=0.0)
        best = "10.0.0.3:80" if first.endpoint.address != "10.0.0.3:80" else "10.0.0.2:80"
        assert step.attempt.endpoint.address == best
        call.abandon(step.attempt, world.now)
        world.read(call, first)
        for endpoint in world.endpoints:
            endpoint.samplers[0].reset()
            endpoint.sample(times[endpoint.address][0], False, ANSWER, world.now)


def test_a_retry_with_nothing_untried_takes_what_there_is():
    world = World(2, strategy="peak_ewma", retry={"attempts": 3})
    world.service.guard.on = True
    call = world.call()
    second = world.answer(call, call.begin(world.now), 504).attempt
    assert world.answer(call, second, 504).attempt.endpoint in world.endpoints


# Cost


@pytest.mark.parametrize("strategy", ["least_request", "peak_ewma", "random"])
def test_a_pick_costs_the_same_in_a_fleet_of_any_size(strategy):
    assert operations(strategy, 10) == operations(strategy, 5_000)


def test_a_retry_by_peak_ewma_does_not_run_to_the_one_that_nothing_is_known_of():
    world = World(10, strategy="peak_ewma")
    unknown, *known = world.endpoints
    for endpoint in known:
        endpoint.sample(0.05, False, Outcome(elapsed=0.05, status=200), world.now)
    for _ in range(100):
        call = world.call()
        call.tried, call.now = (known[0],), world.now
        world.service.picker.pick(call).open[call] = world.now
    assert len(unknown.open) < 25
