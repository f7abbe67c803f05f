"""Adaptive: whom it prefers, whom it leaves, and how soon it comes back."""

from __future__ import annotations

from collections import Counter

import pytest
from world import World

from meshware.balancing.adaptive import oldest
from meshware.core.outcome import Cause
from meshware.testing import check_strategy

ALONE = {"ejection": {"enabled": False}, "circuit": {"enabled": False}, "retry": {"attempts": 1}}


def fleet(endpoints=4, **settings):
    """A world under `adaptive`, without what else keeps endpoints away."""
    return World(endpoints, strategy="adaptive", **(ALONE | settings))


def answered(world, count, *, times=None, statuses=None, together=1):
    """So many calls, `together` at a time; each endpoint answers in its own time, 10 ms unless given; the shares."""
    seen: Counter[str] = Counter()
    for _ in range(count // together):
        pairs = [(call, call.begin(world.now)) for call in [world.call() for _ in range(together)]]
        for call, attempt in sorted(pairs, key=lambda pair: (times or {}).get(number(pair[1]), 0.01)):
            seen[number(attempt)] += 1
            elapsed = (times or {}).get(number(attempt), 0.01)
            world.now = max(world.now, attempt.began + elapsed)
            world.answer(call, attempt, (statuses or {}).get(number(attempt), 200), after=0.0)
            world.read(call, attempt, wire=elapsed)
    return seen


def number(attempt):
    """Of the endpoint, from 1 on."""
    return int(attempt.endpoint.host.rpartition(".")[2])


@pytest.mark.parametrize("strategy", ["adaptive", {"adaptive": {"choices": 2}}, {"adaptive": {"choices": 9}}])
def test_it_passes_the_check(strategy):
    check_strategy(strategy)


@pytest.mark.untraced
@pytest.mark.parametrize("endpoints", [1, 2, 4, 10, 50])
def test_equal_endpoints_get_equal_shares(endpoints):
    seen = World(endpoints, strategy="adaptive").picks(10_000)
    fair = 10_000 / endpoints
    assert all(abs(seen[each] - fair) < 0.15 * fair + 60 for each in seen)
    assert len(seen) == endpoints


@pytest.mark.row("F25")
def test_a_slow_endpoint_gets_little():
    world = fleet()
    answered(world, 200, times={1: 0.1})
    assert answered(world, 2000, times={1: 0.1})[1] < 60


def test_a_difference_that_nobody_feels_moves_no_calls():
    quick = dict.fromkeys(range(1, 5), 0.0008)
    world = fleet()
    answered(world, 400, times=quick | {1: 0.0014})
    assert answered(world, 2000, times=quick | {1: 0.0014})[1] > 400


def test_a_price_that_has_faded_is_none():
    world = fleet(guard=1.0)
    answered(world, 400)
    answered(world, 100, statuses={1: 500})
    world.now += 15.0
    answered(world, 100)
    world.now += 15.0
    assert answered(world, 1000)[1] > 150


def test_noise_moves_little():
    world = fleet()
    rng = world.rng
    for _ in range(1000):
        answered(world, 1, times={each: rng.expovariate(100) for each in range(1, 5)})
    seen = world.picks(2000)
    assert min(seen.values()) > 150


@pytest.mark.row("F42")
def test_a_fast_failure_is_no_fast_endpoint_and_is_left_after_a_few():
    world = fleet(guard=1.0)
    answered(world, 200)
    assert answered(world, 2000, times={1: 0.001}, statuses={1: 500})[1] < 15


def test_one_that_fails_a_third_of_its_requests_is_left_too():
    world = fleet(guard=1.0)
    answered(world, 400)
    lost = 0
    for turn in range(2000):
        lost += answered(world, 1, statuses={1: 500 if turn % 3 == 0 else 200})[1] and turn % 3 == 0
    assert lost < 30


def test_failures_that_all_endpoints_share_are_held_against_none():
    world = fleet(guard=1.0)
    for turn in range(1000):
        answered(world, 1, statuses=dict.fromkeys(range(1, 5), 500 if turn % 5 == 0 else 200))
    assert min(world.picks(2000).values()) > 100


@pytest.mark.row("F49")
def test_an_endpoint_that_recovers_is_found_again():
    world = fleet(guard=1.0)
    answered(world, 1000, times={1: 0.1, 2: 0.001}, statuses={2: 500})
    answered(world, 4000)
    world.pass_time(20.0)
    answered(world, 4000)
    seen = answered(world, 2000)
    assert min(seen[1], seen[2]) > 250


@pytest.mark.parametrize(("busy", "found"), [(1, (0.55, 0.8)), (2, (0.35, 0.55))])
def test_the_one_idle_of_sixteen_is_looked_for_while_the_best_has_one_in_flight(busy, found):
    """Four of them are drawn at a time: up to four times, else twice."""
    world = fleet(16)
    while [len(each.open) for each in world.endpoints[1:]] != [busy] * 15:
        call = world.call()
        attempt = call.begin(world.now)
        if attempt.endpoint is world.endpoints[0] or len(attempt.endpoint.open) > busy:
            call.abandon(attempt, world.now)
    picks = world.picks(1000)
    assert found[0] < picks[world.endpoints[0].address] / 1000 < found[1]


def test_of_idle_and_busy_the_idle_one_is_taken():
    world = fleet(2)
    answered(world, 100)
    for _ in range(20):
        world.call().begin(world.now)
    assert [each.load for each in world.endpoints] == [10, 10]


@pytest.mark.untraced
@pytest.mark.parametrize("strategy", ["adaptive", "contextual"])
def test_idle_endpoints_get_shares_by_weight(strategy):
    world = World(4, strategy=strategy, **ALONE)
    for endpoint, weight in zip(world.endpoints, (1.0, 2.0, 3.0, 4.0), strict=True):
        endpoint.weigh(weight)
    world.service.refresh(world.now)
    answered(world, 200)
    seen = answered(world, 10_000)
    assert all(abs(seen[number] - 1000 * number) < 200 for number in range(1, 5))


def test_only_how_weights_stand_to_each_other_matters():
    one, other = fleet(), fleet()
    for endpoint in other.endpoints:
        endpoint.weigh(7.0)
    other.service.refresh(other.now)
    assert answered(one, 2000, together=5) == answered(other, 2000, together=5)


def test_one_with_more_weight_is_kept_busier():
    world = fleet(2)
    world.endpoints[1].weigh(3.0)
    world.service.refresh(world.now)
    answered(world, 300)
    for _ in range(400):
        world.call().begin(world.now)
    light, heavy = (each.load for each in world.endpoints)
    assert 1.5 < heavy / light < 4


def test_what_one_more_in_flight_costs_is_learned():
    one_slot, many_slots = fleet(2), fleet(2)
    for world, queues in ((one_slot, True), (many_slots, False)):
        for _ in range(600):
            pairs = [(call, call.begin(world.now)) for call in [world.call() for _ in range(6)]]
            for place, (call, attempt) in enumerate(pairs):
                elapsed = 0.01 * (1 + place // 2) if queues else 0.01
                world.now = max(world.now, attempt.began + elapsed)
                world.answer(call, attempt, after=0.0)
                world.read(call, attempt, wire=elapsed)
    slopes = [next(iter(each.service.fleet.values())).queue.slope for each in (one_slot, many_slots)]
    assert slopes[0] > 0.4
    assert slopes[1] == 0.4


def test_an_attempt_that_is_overdue_speaks_for_its_endpoint_before_its_timeout():
    world = fleet(2)
    answered(world, 400)
    stuck = {each: world.call() for each in range(8)}
    held = next(attempt for attempt in (call.begin(world.now) for call in stuck.values()) if number(attempt) == 1)
    for call in stuck.values():
        for attempt in call.open:
            if attempt is not held:
                call.abandon(attempt, world.now)
    assert world.picks(200)["10.0.0.1:80"] < 200
    world.pass_time(1.0)
    assert world.picks(200)["10.0.0.1:80"] == 0


def test_one_is_not_overdue_where_others_are_answered_meanwhile():
    world = fleet(1)
    answered(world, 400)
    call, picker = world.call(), world.service.strategy.picker(world.endpoints)
    held = call.begin(world.now)
    world.pass_time(1.0)
    endpoint, slope = held.endpoint, picker.fleet.queue.slope
    assert oldest(endpoint, world.now, slope) == 1.0
    world.succeed()
    assert oldest(endpoint, world.now, slope) == 0.0


def test_under_the_guard_it_is_plain_least_request():
    world = fleet(2)
    answered(world, 200, times={1: 1.0})
    world.service.guard.on = True
    assert min(world.picks(1000).values()) > 400


def test_a_timeout_is_a_long_answer_and_a_refusal_is_none():
    world = fleet(guard=1.0)
    answered(world, 200)
    for cause, after in ((Cause.TIMEOUT, 1.0), (Cause.RESET, 0.001)):
        call = world.call()
        world.fail(call, call.begin(world.now), cause, after=after)
    world.pass_time(60.0)
    assert len(world.picks(400)) == 4


def test_one_timeout_keeps_nobody_away_and_a_second_before_any_answer_does():
    world = fleet(guard=1.0)
    answered(world, 200)
    call = world.call()
    place = number(times_out(world, call, call.begin(world.now)))
    assert answered(world, 400)[place] > 50
    for _ in range(2):
        times_out(world, *begun_at(world, place))
    assert answered(world, 400)[place] == 0


def begun_at(world, place):
    """A call that begins at this endpoint, as one of many at once."""
    calls = [world.call() for _ in range(100)]
    began = [(call, call.begin(world.now)) for call in calls]
    chosen = next(pair for pair in began if number(pair[1]) == place)
    for call, attempt in began:
        if call is not chosen[0]:
            call.abandon(attempt, world.now)
    return chosen


def times_out(world, call, attempt):
    """The attempt, after a second without an answer."""
    world.fail(call, attempt, Cause.TIMEOUT, after=1.0)
    return attempt


def test_a_retry_goes_to_one_that_was_not_tried():
    world = World(3, strategy="adaptive", ejection={"enabled": False}, circuit={"enabled": False}, guard=1.0)
    world.service.budget.withdraw = lambda now: True
    for _ in range(100):
        call = world.call()
        first = call.begin(world.now)
        step = world.answer(call, first, 503)
        assert step.attempt.endpoint is not first.endpoint
        call.abandon(step.attempt, world.now)
        world.read(call, first)


def test_streams_that_stay_open_weigh_little_in_a_careful_look():
    world = fleet(2)
    answered(world, 100)
    world.service.guard.on = True
    for _ in range(40):
        call = world.call()
        attempt = call.begin(world.now)
        if number(attempt) == 1:
            world.answer(call, attempt, after=0.0, stream=True)
    assert len(world.endpoints[0].open) > len(world.endpoints[1].open)


@pytest.mark.parametrize("choices", [1, 0, -2, 2.5, True, "4"])
def test_choices_must_be_a_whole_number_from_2_on(choices):
    from meshware.balancing.adaptive import Adaptive

    with pytest.raises(ValueError, match="choices must be a whole number from 2 on"):
        Adaptive(choices=choices)
