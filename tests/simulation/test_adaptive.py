"""The default beside one who knows everything: how near it is, and what it loses when something breaks."""

from __future__ import annotations

from itertools import cycle, product

import pytest
from simulation.contest import ONCE, REPORTED, TEN, contest, geometric_mean, ratio, scenario
from soaking import some_now

from meshware.testing.simulation import Simulation, drawn

pytestmark = pytest.mark.untraced

MEAN, WORST, ALONE = 1.12, 1.25, 1.05
"""Bounds of the 99th percentile beside the oracle's: over ten scenarios, in each, and for a single client."""

BROKEN = {"sinkhole": 0.001, "gray30": 0.001, "blackhole": 0.001, "crash": 0.001, "zone_loss": 0.003}
"""What may be lost, retries left out."""

QUICK = ("homogeneous", "heterogeneous", "slow10x")


@pytest.mark.parametrize("name", QUICK)
def test_it_is_near_the_oracle(name):
    assert ratio(*contest(scenario(name), "adaptive")) <= WORST


@pytest.mark.soak
def test_over_ten_scenarios_it_is_near_the_oracle_and_far_in_none():
    worth = {
        name: geometric_mean(ratio(*contest(scenario(name), "adaptive", seed=seed)) for seed in REPORTED)
        for name in TEN
    }
    assert geometric_mean(worth.values()) <= MEAN
    assert max(worth.values()) <= WORST, worth


@pytest.mark.soak
def test_a_single_client_is_nearer():
    worth = [ratio(*contest(scenario(name, clients=1), "adaptive", seed=seed)) for name in TEN for seed in REPORTED]
    assert geometric_mean(worth) <= ALONE


@pytest.mark.soak
def test_in_fleets_that_nobody_has_tuned_for_it_is_as_near(capsys):
    worth = {}
    for seed in REPORTED:
        what = drawn(seed)
        oracle, tally = contest(what, "adaptive", seed=seed)
        worth[what.name] = ratio(oracle, tally)
        assert tally.lost_share <= oracle.lost_share + 0.001
    with capsys.disabled():
        print(*(f"{name}: {value:.3f}" for name, value in worth.items()), sep=", ")
    assert geometric_mean(worth.values()) <= MEAN


@pytest.mark.parametrize("name", ["sinkhole", "blackhole"])
def test_what_breaks_takes_few_calls_with_it(name):
    assert Simulation(scenario(name), strategy="adaptive", settings=ONCE).run().lost_share <= BROKEN[name]


@pytest.mark.soak
@pytest.mark.parametrize("seed", REPORTED)
@pytest.mark.parametrize("name", BROKEN)
def test_whichever_calls_they_are(name, seed):
    assert Simulation(scenario(name), strategy="adaptive", settings=ONCE, seed=seed).run().lost_share <= BROKEN[name]


FOUR = ("response_time", "load", "failure_rate", "latency", "combined")
FLEETS = ("homogeneous", "heterogeneous")


@pytest.mark.parametrize(("strategy", "name"), some_now(product(FOUR, FLEETS), now=zip(FOUR, cycle(FLEETS))))
def test_the_seed_four_lose_nothing_without_a_fault(strategy, name):
    assert Simulation(scenario(name), strategy=strategy).run().lost == 0
