"""Two operations, one of them heavy, one replica slow at that only; and where there is nothing of the kind."""

from __future__ import annotations

import random

import pytest
from simulation.contest import ONCE, REPORTED, TEN, contest, geometric_mean, scenario
from soaking import some_now

from meshware.testing.simulation import Simulation, workload

pytestmark = pytest.mark.untraced


@pytest.mark.parametrize("clients", [8, 1])
def test_who_is_slow_at_the_heavy_ones_only_is_left_for_them(clients):
    _, adaptive, contextual = contest(scenario("two_operations", clients=clients), "adaptive", "contextual")
    assert contextual.quantile(0.99) <= 0.85 * adaptive.quantile(0.99)
    assert contextual.lost == 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", REPORTED)
@pytest.mark.parametrize("clients", [8, 1])
def test_whichever_requests_they_are(clients, seed):
    _, adaptive, contextual = contest(scenario("two_operations", clients=clients), "adaptive", "contextual", seed=seed)
    assert contextual.quantile(0.99) <= 0.85 * adaptive.quantile(0.99)


@pytest.mark.parametrize("name", some_now(["homogeneous", "slow10x"], now=["slow10x"]))
def test_with_one_operation_it_is_adaptive(name):
    _, adaptive, contextual = contest(scenario(name), "adaptive", "contextual")
    assert contextual.quantile(0.99) <= 1.06 * adaptive.quantile(0.99)


@pytest.mark.soak
def test_over_ten_scenarios_it_costs_nothing():
    pairs = [contest(scenario(name), "adaptive", "contextual", seed=seed)[1:] for name in TEN for seed in REPORTED]
    worth = geometric_mean(contextual.quantile(0.99) / adaptive.quantile(0.99) for adaptive, contextual in pairs)
    assert worth <= 1.03


def test_when_the_operations_turn_to_noise_it_is_adaptive_again_within_5_s():
    noise, rng, turned = scenario("two_operations", duration=12.0), random.Random(5), 7.0
    paths = [each.path for each in noise.operations]
    arrivals = [
        each if each.at < turned else each._replace(operation=rng.choice(paths), work=rng.expovariate(100))
        for each in workload(noise, 1)
    ]

    def trusting(until):
        simulation = Simulation(noise, strategy="contextual", settings=ONCE, arrivals=arrivals[: until(arrivals)])
        simulation.run()
        return [client.service.learner.model.trusted for client in simulation.clients]

    assert all(trusting(lambda arrivals: sum(each.at < turned for each in arrivals)))
    assert not any(trusting(len))
