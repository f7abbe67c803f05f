"""A whole run: the production mesh in a simulated fleet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from meshware.core.errors import SettingsError
from meshware.testing.simulation import ORACLE, Arrival, Scenario, Simulation, workload

SMALL = {"begin": 0.5, "duration": 3.0, "load": 0.5, "replicas": [{"count": 4, "slots": 2}], "clients": [{"count": 2}]}


def scenario(*faults, **changes):
    return Scenario.model_validate({**SMALL, "faults": faults, **changes})


def seen(tally):
    """All there is to compare."""
    return list(tally.times), tally.lost, tally.refused, tally.attempts


@pytest.mark.untraced
@pytest.mark.parametrize("strategy", [ORACLE, "adaptive", "least_request", {"combined": {"load": 1.0, "latency": 0.5}}])
def test_the_same_seed_gives_the_same_result(strategy):
    crash = {"kind": "crash", "at": 1.0, "lasts": 1.0, "replicas": [0], "cold": 0.5}
    one, other = (Simulation(scenario(crash), strategy=strategy, seed=5).run() for _ in range(2))
    assert seen(one) == seen(other)
    assert seen(one) != seen(Simulation(scenario(crash), strategy=strategy, seed=6).run())


def test_the_same_seed_gives_the_same_result_in_another_process():
    program = (
        "from meshware.testing.simulation import *\n"
        f"found = Scenario.model_validate({scenario({'kind': 'crash', 'at': 1.0, 'replicas': [0]}).model_dump()!r})\n"
        "print(sum(Simulation(found, seed=5).run().times))"
    )
    ran = [
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": n}
        )
        for n in ("1", "2")
    ]
    assert ran[0].stdout == ran[1].stdout != ""


@pytest.mark.parametrize(
    "faults",
    [
        [{"kind": "slow", "at": 1.0, "lasts": 1.0}, {"kind": "stall", "at": 1.3, "lasts": 0.3}],
        [{"kind": "slow", "at": 1.0, "lasts": 0.1, "every": 0.1}],
        [{"kind": "slow", "at": 1.0, "lasts": 0.5, "factor": 1}],
    ],
    ids=["overlapping", "adjacent", "without effect"],
)
def test_a_speed_that_comes_back_at_once_ends_no_run(faults):
    tally = Simulation(scenario(*faults), strategy="random").run()
    assert tally.lost_share < 1.0


def test_contenders_get_the_same_requests():
    found = scenario()
    arrivals = workload(found, 1)
    tallies = [Simulation(found, strategy=each, arrivals=arrivals).run() for each in (ORACLE, "random", "adaptive")]
    counted = sum(each.at >= found.begin for each in arrivals)
    assert [len(each.times) for each in tallies] == [counted] * 3
    assert seen(Simulation(found, strategy="random", seed=1).run()) == seen(tallies[1])


def test_a_call_alone_takes_its_work_and_the_way():
    found = scenario(begin=0.0, rtt=0.01, replicas=[{"count": 1, "speed": 0.5}])
    tally = Simulation(found, strategy="random", arrivals=[Arrival(1.0, 0, "/items", 0.1, 0.5, 0.1)]).run()
    assert list(tally.times) == pytest.approx([0.21])


def test_a_retry_saves_what_a_failing_replica_would_lose():
    fault = {"kind": "fail", "rate": 0.5, "at": 1.0, "lasts": 1.0, "replicas": [0]}
    once = {"retry": {"attempts": 1, "statuses": []}, "ejection": {"enabled": False}}
    retried = {"retry": {"statuses": [500, 503]}, "ejection": {"enabled": False}}
    arrivals = workload(scenario(fault), 1)
    bare, saved = (
        Simulation(scenario(fault), strategy="round_robin", settings=each, arrivals=arrivals).run()
        for each in (once, retried)
    )
    assert bare.lost > 20
    assert saved.lost < bare.lost / 5
    assert saved.attempts.total() > len(saved.times)


def test_the_settings_of_the_simulation_stand_above_the_scenarios():
    fault = {"kind": "crash", "at": 1.0, "lasts": 1.0, "replicas": [0]}
    found = scenario(fault, settings={"retry": {"attempts": 1}})
    lost = [Simulation(found, strategy="random", settings=each).run().lost for each in ({}, {"retry": {"attempts": 3}})]
    assert lost[0] > 0
    assert lost[1] < lost[0]


def test_a_black_hole_is_left_and_its_calls_are_late_not_for_ever():
    fault = {"kind": "silent", "at": 1.0, "lasts": 1.5, "replicas": [0]}
    simulation = Simulation(scenario(fault, deadline=0.5), strategy="least_request")
    tally = simulation.run()
    assert len(tally.times) == len([each for each in simulation.arrivals if each.at >= 0.5])
    assert max(tally.times) <= 0.5
    assert tally.lost_share < 0.02


def test_what_has_crashed_is_used_again_when_a_background_connect_succeeds():
    fault = {"kind": "crash", "at": 0.6, "lasts": 0.8, "replicas": [0]}
    simulation = Simulation(scenario(fault, duration=6.0), strategy="round_robin")
    tally = simulation.run()
    address = simulation.replicas[0].address
    asked = [sum(tally.slices[n].asked[address] for n in range(n, n + 5) if n in tally.slices) for n in (0, 9, 50)]
    assert asked[1] == 0 < asked[2] < asked[0] * 1.5


def test_what_is_drained_is_asked_nothing_and_loses_nothing():
    fault = {"kind": "drain", "at": 1.0, "lasts": 1.0, "replicas": [0]}
    simulation = Simulation(scenario(fault), strategy="random")
    tally = simulation.run()
    asked = {number: part.asked[simulation.replicas[0].address] for number, part in tally.slices.items()}
    assert sum(asked[number] for number in range(11, 20)) == 0
    assert sum(asked[number] for number in range(21, 30)) > 0
    assert tally.lost == 0


class After:
    """Hedges after so many seconds."""

    def __init__(self, seconds):
        self.seconds = seconds

    def delay(self, call, now):
        return self.seconds

    def take(self):
        return True

    def give_back(self):
        pass


def test_a_hedge_overtakes_what_is_slow():
    fault = {"kind": "slow", "factor": 20, "at": 1.0, "replicas": [0]}
    found = scenario(fault, load=0.3, operations=[{"spread": "fixed"}])
    arrivals, tallies = workload(found, 1), []
    for hedging in (After(None), After(0.03)):
        simulation = Simulation(found, strategy="round_robin", settings={"attempt_timeout": None}, arrivals=arrivals)
        for client in simulation.clients:
            client.service.hedging = hedging
        tallies.append(simulation.run())
    plain, hedged = tallies
    assert hedged.quantile(0.9) < plain.quantile(0.9) / 2
    assert hedged.attempts.total() > plain.attempts.total()


def test_more_than_can_be_done_is_refused_in_part():
    found = scenario(load=3.0, deadline=0.3)
    tally = Simulation(found, strategy="least_request").run()
    assert 0 < tally.refused <= tally.lost


def test_an_unknown_strategy_is_refused_with_the_nearest():
    with pytest.raises(SettingsError, match="did you mean 'adaptive'"):
        Simulation(scenario(), strategy="adaptve")


def test_a_fleet_of_many_has_addresses_enough():
    found = scenario(load=0.001, replicas=[{"count": 600, "slots": 1}])
    assert len({each.address for each in Simulation(found, strategy="random").replicas}) == 600
