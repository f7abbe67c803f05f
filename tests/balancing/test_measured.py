"""The strategies by a measured figure, in use: shares, weights, failures, recovery, the fleet guard."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measuring import answered, fed, fill, operations
from world import World

from meshware.core.errors import SettingsError
from meshware.core.outcome import Cause, LoadReport, Outcome
from meshware.settings.load import load
from meshware.testing import check_strategy

pytestmark = pytest.mark.untraced

MEASURED = ["response_time", "load", "failure_rate", "latency", "combined", "c3"]
TIMED = ["response_time", "latency", "combined", "c3"]
FAILING = [*TIMED, "failure_rate"]
UNJUDGED = {"ejection": {"enabled": False}, "circuit": {"enabled": False}, "retry": {"attempts": 1}, "guard": 1.0}
GOOD, BAD = (0.01, 200), (0.001, 500)


@pytest.mark.parametrize("strategy", MEASURED)
def test_equal_endpoints_get_equal_shares(strategy):
    seen = World(6, strategy=strategy).picks(10_000)
    assert all(abs(count - 10_000 / 6) <= 220 for count in seen.values())
    assert len(seen) == 6


@pytest.mark.parametrize("strategy", MEASURED)
@pytest.mark.parametrize("weights", [(1.0, 2.0, 5.0), (0.1, 1.0, 1.0, 1.0, 1.0, 3.9)], ids=str)
def test_shares_follow_the_weights(strategy, weights):
    world = weighted(strategy, *weights)
    seen = world.picks(10_000)
    for endpoint in world.endpoints:
        assert abs(seen[endpoint.address] - 10_000 * endpoint.weight / sum(weights)) <= 250


@pytest.mark.parametrize("strategy", MEASURED)
def test_the_heavier_of_two_is_kept_busier(strategy):
    light, heavy = fill(weighted(strategy, 1.0, 3.0), 400)
    assert heavy / light == pytest.approx(3.0, rel=0.15)


def weighted(strategy, *weights):
    world = World(len(weights), strategy=strategy)
    for endpoint, weight in zip(world.endpoints, weights, strict=True):
        endpoint.weigh(weight)
    world.service.refresh(world.now)
    return world


def test_a_canary_that_answers_fast_gets_a_few_times_its_weight_and_not_all():
    world = weighted("response_time", 0.02, 1.0)
    assert answered(world, (0.001, 200), (0.01, 200), count=2000)[0] <= 4 * 2000 * 0.02


@pytest.mark.parametrize("strategy", TIMED)
def test_a_slow_endpoint_gets_little(strategy):
    seen = answered(World(3, strategy=strategy), (0.2, 200), GOOD, GOOD, count=1000)
    assert seen[0] <= 20
    assert abs(seen[1] - seen[2]) < 150


@pytest.mark.parametrize("strategy", FAILING)
def test_a_fast_failure_is_no_fast_endpoint(strategy):
    seen = answered(World(3, strategy=strategy, **UNJUDGED), BAD, GOOD, GOOD, count=1000)
    assert seen[0] <= 20


@pytest.mark.parametrize("strategy", FAILING)
def test_one_that_fails_often_gets_little(strategy):
    world, bad = World(3, strategy=strategy, **UNJUDGED), 0
    for number in range(1000):
        turn = BAD if number % 3 == 0 else GOOD
        bad += answered(world, turn, GOOD, GOOD, count=1)[0]
    assert bad <= 60


@pytest.mark.parametrize("strategy", FAILING)
def test_an_endpoint_that_recovers_is_found_again(strategy):
    world = World(2, strategy=strategy, **UNJUDGED)
    answered(world, (0.5, 503), GOOD, count=200)
    answered(world, GOOD, GOOD, count=5000)
    assert answered(world, GOOD, GOOD, count=1000)[0] > 300


@pytest.mark.parametrize("strategy", MEASURED)
def test_an_endpoint_that_nothing_is_known_of_counts_as_average(strategy):
    world = World(2, strategy=strategy)
    for _ in range(50):
        world.endpoints[0].sample(0.01, False, Outcome(elapsed=0.01, status=200), world.now)
    assert abs(world.picks(1000)["10.0.0.1:80"] - 500) < 100


@pytest.mark.parametrize("strategy", MEASURED)
@pytest.mark.parametrize("select", ["choices", "argmin"])
def test_under_the_guard_it_is_plain_least_request(strategy, select):
    world = World(3, strategy={strategy: {"select": select}}, **UNJUDGED)
    answered(world, (1.0, 500), GOOD, GOOD, count=300)
    world.service.guard.on = True
    assert fill(world, 300) == [100, 100, 100]


@pytest.mark.parametrize("strategy", ["response_time", "failure_rate"])
def test_near_equals_are_told_apart_by_what_is_in_flight(strategy):
    assert fill(fed(World(2, strategy=strategy), 0.10, 0.14), 100) == [50, 50]
    assert fill(fed(World(2, strategy="response_time"), 0.10, 0.16), 100) == [100, 0]


@pytest.mark.parametrize("select", ["choices", "argmin"])
def test_a_retry_goes_to_the_best_of_those_that_were_not_tried(select):
    world = World(4, strategy={"combined": {"response_time": 1, "select": select}}, **UNJUDGED | {"retry": {}})
    fed(world, 0.010, 0.1, 0.3, 0.3)
    call = world.call()
    first = call.begin(world.now)
    assert first.endpoint is world.endpoints[0]
    assert world.answer(call, first, 503, after=0.01).attempt.endpoint is world.endpoints[1]


def test_for_load_a_busy_endpoint_counts_by_what_it_reports():
    world = World(3, strategy="load")
    for endpoint, report in zip(world.endpoints, (LoadReport(0.9), LoadReport(0.3), None), strict=True):
        endpoint.sample(0.01, False, Outcome(elapsed=0.01, status=200, report=report), world.now)
    busy, idle, silent = fill(world, 60)
    assert busy < silent < idle
    assert (idle + 1) / (busy + 1) == pytest.approx(3.0, rel=0.2)
    world.now += 10.0
    assert fill(world, 240) == [100, 100, 100]


@pytest.mark.parametrize("strategy", [*MEASURED, "utilization"])
def test_a_pick_costs_the_same_in_a_fleet_of_any_size(strategy):
    assert operations(strategy, 10) == operations(strategy, 5_000)


@pytest.mark.parametrize("strategy", MEASURED)
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"window": 0}, "window must be a positive number of seconds, not 0"),
        ({"window": "5"}, "window must be a positive number of seconds, not '5'"),
        ({"choices": 1}, "choices must be a whole number from 2 on, not 1"),
        ({"select": "least"}, "select must be 'choices' or 'argmin', not 'least'"),
    ],
    ids=str,
)
def test_wrong_options_are_refused_at_the_start(strategy, option, said):
    with pytest.raises(SettingsError) as refused:
        load({"services": {"inventory": {"endpoints": ["10.0.0.1:80"], "strategy": {strategy: option}}}})
    assert said in str(refused.value)


@pytest.mark.parametrize("strategy", MEASURED)
@pytest.mark.parametrize("options", [{}, {"select": "argmin"}, {"window": 0.5, "choices": 2}], ids=str)
def test_it_is_fit_for_use(strategy, options):
    check_strategy({strategy: options})


@pytest.mark.parametrize("strategy", ["response_time", "load", "failure_rate", "latency", "combined"])
def test_its_literal_form_is_fit_for_use(strategy):
    check_strategy({strategy: {"window": None, "select": "argmin"}})


seconds = st.floats(0.0, 1e6)
anything = st.floats() | st.just(0.0)
reports = st.none() | st.builds(LoadReport, anything, anything, anything, st.none() | anything, st.none() | anything)
samples = st.tuples(
    st.integers(0, 2),
    seconds,
    st.booleans(),
    st.builds(
        Outcome,
        elapsed=seconds,
        cause=st.sampled_from([None, Cause.CUT, Cause.TIMEOUT]),
        connect=st.none() | seconds,
        first_byte=st.none() | seconds,
        report=reports,
    ),
    seconds,
)


@pytest.mark.parametrize("strategy", [*MEASURED, {"combined": {"combine": "sum", "latency": 1, "c3": 2}}], ids=str)
@given(fed=st.lists(samples, max_size=12))
def test_a_score_is_a_score_whatever_the_samples(strategy, fed):
    world = World(3, strategy=strategy)
    call = world.call()
    for number, elapsed, failed, outcome, pause in fed:
        world.now += pause
        with suppress(ValueError):  # an absurd report
            world.endpoints[number].sample(elapsed, failed, outcome, world.now)
    call.now = world.now
    for endpoint in world.endpoints:
        assert 0 <= world.service.learner.score(endpoint, call) < float("inf")
    world.service.picker.pick(call)
