"""The simulator tells the truth where the truth is known: queueing theory, and what the study measured."""

from __future__ import annotations

from math import factorial
from statistics import fmean

import pytest
from simulation.contest import BARE, ONCE, contest, ratio, scenario
from soaking import some_now

from meshware.testing.simulation import ORACLE, Scenario, Simulation, workload

pytestmark = pytest.mark.untraced

SLOTS, WORK = 4, 0.01


def erlang_c_wait(load):
    """Mean seconds in the one queue before so many servers (Erlang 1917)."""
    offered = SLOTS * load
    full = offered**SLOTS / factorial(SLOTS) / (1 - load)
    waiting = full / (sum(offered**k / factorial(k) for k in range(SLOTS)) + full)
    return waiting * WORK / SLOTS / (1 - load)


def central_queue_wait(load, seconds, seed):
    """The same in simulation: what a request takes beyond its work and its way."""
    one = Scenario.model_validate(
        {
            "replicas": [{"count": 1, "slots": SLOTS}],
            "clients": [{"count": 1}],
            "operations": [{"work": WORK}],
            "load": load,
            "begin": 0,
            "duration": seconds,
            "deadline": 100,
        }
    )
    arrivals = workload(one, seed)
    tally = Simulation(one, strategy=ORACLE, arrivals=arrivals, seed=seed).run()
    return tally.mean - fmean(each.work for each in arrivals) - one.rtt


@pytest.mark.parametrize("load", [0.5, 0.7])
def test_a_central_queue_waits_as_erlang_says(load):
    waits = fmean(central_queue_wait(load, 300, seed) for seed in (1, 2))
    assert waits == pytest.approx(erlang_c_wait(load), rel=0.1)


@pytest.mark.soak
@pytest.mark.parametrize("load", [0.5, 0.7, 0.85])
def test_within_three_percent(load):
    waits = fmean(central_queue_wait(load, 2000, seed) for seed in range(1, 6))
    assert waits == pytest.approx(erlang_c_wait(load), rel=0.03)


ANCHORS = [("random", 1.50), ("least_request", 1.09)]


@pytest.mark.parametrize(("strategy", "anchor"), ANCHORS)
def test_equal_replicas_are_as_the_study_has_them(strategy, anchor):
    oracle, tally = contest(scenario("homogeneous"), strategy, settings=BARE)
    assert ratio(oracle, tally) == pytest.approx(anchor, abs=0.15)


@pytest.mark.soak
@pytest.mark.parametrize(("strategy", "anchor"), ANCHORS)
def test_within_five_hundredths(strategy, anchor):
    long = scenario("homogeneous", duration=62.0)
    found = [ratio(*contest(long, strategy, seed=seed, settings=BARE)) for seed in range(1, 7)]
    assert fmean(found) == pytest.approx(anchor, abs=0.05)


@pytest.mark.soak
def test_one_that_is_ten_times_slower_is_as_the_study_has_it():
    found = [ratio(*contest(scenario("slow10x"), "least_request", seed=seed, settings=BARE)) for seed in range(1, 11)]
    assert fmean(found) == pytest.approx(3.67, rel=0.2)


@pytest.mark.parametrize("seed", some_now([1, 2], now=[1]))
def test_one_that_fails_at_once_draws_the_load_as_the_study_has_it(seed):
    _, tally = contest(scenario("sinkhole"), "least_request", seed=seed, settings=BARE)
    assert tally.lost_share == pytest.approx(0.102, abs=0.015)


def test_contenders_share_arrivals_and_work():
    short = scenario("homogeneous", duration=3.0)
    arrivals = workload(short, 1)
    assert arrivals == workload(short, 1)
    assert arrivals != workload(short, 2)
    one = Simulation(short, strategy="random", arrivals=arrivals)
    other = Simulation(short, strategy="adaptive", settings=ONCE, arrivals=arrivals)
    assert len(one.run().times) == len(other.run().times)
    assert one.arrivals is other.arrivals
