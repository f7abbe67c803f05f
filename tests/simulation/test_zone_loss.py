"""One zone of three is gone for 6 s: what its callers lose, retries left out (issue 4, algorithms study section 6)."""

from __future__ import annotations

import pytest

from meshware.testing.simulation import Simulation, built_in

pytestmark = pytest.mark.untraced

STRATEGIES = ["adaptive", "peak_ewma", "least_request"]


def lost(strategy, seed):
    """The share of all calls."""
    once = {"retry": {"attempts": 1}}
    return Simulation(built_in("zone_loss"), strategy=strategy, settings=once, seed=seed).run().lost_share


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_zone_that_goes_takes_few_calls_with_it(strategy):
    assert lost(strategy, 1) <= 0.003


@pytest.mark.soak
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", range(101, 106))
def test_whichever_calls_they_are(strategy, seed):
    assert lost(strategy, seed) <= 0.003
