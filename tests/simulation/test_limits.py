"""Too much arrives, or everything pauses: what is still answered in time, and when the limit may refuse."""

from __future__ import annotations

import pytest
from simulation.contest import BARE, REPORTED, TEN, contest, scenario
from soaking import some_now

from meshware.testing.simulation import Simulation

pytestmark = pytest.mark.untraced

TROUBLE = ("pause_all", "slow_calls", "bursts90")


def goodput(tally):
    """The share of all calls that was answered in time."""
    return 1 - tally.lost_share


@pytest.mark.row("F31")
@pytest.mark.parametrize("clients", some_now([8, 1], now=[8]))
def test_a_second_after_an_overload_all_is_good_again(clients):
    tally = Simulation(scenario("overload", clients=clients), strategy="adaptive").run()
    assert tally.good_between(8, 20) == 1.0
    assert tally.good_between(4, 7) >= 0.5
    assert tally.refused


@pytest.mark.soak
@pytest.mark.parametrize("seed", REPORTED)
def test_whatever_arrives(seed):
    assert Simulation(scenario("overload"), strategy="adaptive", seed=seed).run().good_between(8, 20) == 1.0


@pytest.mark.parametrize("name", some_now(TROUBLE, now=["pause_all", "slow_calls"]))
def test_what_is_no_overload_is_no_worse_than_by_least_request(name):
    what = scenario(name)
    ours = Simulation(what, strategy="adaptive").run()
    plain = Simulation(what, strategy="least_request", settings=BARE).run()
    assert goodput(ours) >= goodput(plain) - 0.01
    assert ours.refused == 0


@pytest.mark.soak
@pytest.mark.parametrize("seed", REPORTED)
@pytest.mark.parametrize("name", [*TEN, *TROUBLE, "blackhole", "crash", "zone_loss", "cold_start"])
@pytest.mark.parametrize("clients", [8, 1])
def test_where_nothing_had_to_be_lost_nothing_is_refused(name, seed, clients):
    oracle, tally = contest(scenario(name, clients=clients), "adaptive", seed=seed, settings={})
    assert oracle.lost or not tally.refused
