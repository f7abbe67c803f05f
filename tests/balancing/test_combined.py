"""Combined: what it is made of, how its weights count, and what it refuses at the start."""

from __future__ import annotations

import pytest
from measuring import fed, fill
from world import World

from meshware.balancing.combined import Combined
from meshware.core.errors import SettingsError
from meshware.plugins import STRATEGIES, part, register, whole
from meshware.settings.load import load
from meshware.testing import check_strategy


class Cheapest:
    """A scorer that somebody else brings."""

    needs = ()

    def score(self, endpoint, call):
        return float(endpoint.metadata["price"])


@pytest.fixture
def cheapest():
    register(STRATEGIES, "cheapest-combined", Cheapest)
    return "cheapest-combined"


def scores(world):
    call = world.call()
    call.now = world.now
    return [world.service.learner.score(each, call) for each in world.endpoints]


def priced(world, *prices):
    for endpoint, price in zip(world.endpoints, prices, strict=True):
        endpoint.metadata = {"price": price}
    return world


def test_one_strategy_alone_keeps_its_order():
    times = (0.3, 0.1, 0.2)
    alone, combined = (
        fed(World(3, strategy=each), *times) for each in ("response_time", {"combined": {"response_time": 7}})
    )
    ratio = scores(alone)[0] / scores(combined)[0]
    assert [score * ratio for score in scores(combined)] == pytest.approx(scores(alone))


def test_only_how_the_weights_stand_to_each_other_matters():
    small, large = (
        fed(World(3, strategy={"combined": {"response_time": each, "failure_rate": each}}), 0.3, 0.1, 0.2)
        for each in (1e-300, 1e300)
    )
    assert scores(small) == pytest.approx(scores(large))


def test_without_weights_it_is_response_time_load_and_failure_rate():
    combined = Combined(make=part)
    assert [type(each).__name__ for each in combined.parts] == ["LeastResponseTime", "LeastLoad", "LeastFailureRate"]


def test_a_weight_of_zero_measures_nothing():
    world = World(2, strategy={"combined": {"latency": 0, "failure_rate": 1}})
    assert len(world.endpoints[0].readings) == 1


def test_a_fast_endpoint_that_is_busy_is_as_good_as_a_slow_one_that_is_idle():
    world = fed(World(2, strategy={"combined": {"response_time": 1, "load": 1}}), 0.01, 0.04)
    fast, slow = fill(world, 100)
    measured = [each.samplers[0].value(world.now) for each in world.endpoints]
    assert (fast + 1) / (slow + 1) == pytest.approx(measured[1] / measured[0], rel=0.15)


def test_any_scorer_that_is_installed_can_be_a_part(cheapest):
    world = priced(fed(World(3, strategy={"combined": {"response_time": 1, cheapest: 1}}), *[0.1] * 3), 30, 10, 20)
    assert world.picks(1000) == {"10.0.0.2:80": 1000}
    check_strategy({"combined": {cheapest: 1, "load": 1}}, metadata=lambda number: {"price": number})


def test_a_part_that_knows_no_fleet_counts_beside_its_own_mean(cheapest):
    world = priced(World(2, strategy={"combined": {cheapest: 1, "failure_rate": 1, "combine": "sum"}}), 1e6, 3e6)
    world.picks(2000)
    assert scores(world) == pytest.approx([0.75, 1.25], rel=0.1)


def test_a_part_whose_scores_are_all_zero_has_no_say(cheapest):
    world = priced(fed(World(2, strategy={"combined": {cheapest: 1, "response_time": 1}}), 0.3, 0.1), 0, 0)
    assert world.picks(100) == {"10.0.0.2:80": 100}


def test_the_load_of_its_literal_form_is_told_of_answers():
    combined = Combined(make=part, window=None)
    assert any(hasattr(each, "on_answer") for each in whole(combined))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"load": -1}, "the weight of load must be a finite number of at least 0, not -1"),
        ({"load": float("nan")}, "the weight of load must be a finite number of at least 0, not nan"),
        ({"load": float("inf")}, "the weight of load must be a finite number of at least 0, not inf"),
        ({"load": "1"}, "the weight of load must be a finite number of at least 0, not '1'"),
        ({"load": True}, "the weight of load must be a finite number of at least 0, not True"),
        ({"load": 0, "latency": 0.0}, "at least one weight must be more than 0"),
        ({"respons_time": 1}, "did you mean 'response_time'?"),
        ({"round_robin": 1}, "round_robin has no score and cannot be combined"),
        ({"combine": "max"}, "combine must be 'product' or 'sum', not 'max'"),
    ],
    ids=str,
)
def test_what_cannot_be_combined_is_refused_at_the_start(options, said):
    with pytest.raises(SettingsError) as refused:
        load({"services": {"inventory": {"endpoints": ["10.0.0.1:80"], "strategy": {"combined": options}}}})
    assert said in str(refused.value)
    assert "make" not in str(refused.value)


def test_the_form_of_the_founding_settings_is_understood():
    strategy = {"combined": {"response_time": 0.6, "failure_rate": 0.4}}
    assert len(World(2, strategy=strategy).service.learner.parts) == 2
    check_strategy(strategy)
    check_strategy({"combined": {"least_request": 1, "c3": 0.5}})
