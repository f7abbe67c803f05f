"""What hedging does to the tail, in simulation: where the server varies, and where the request itself is heavy."""

from __future__ import annotations

import pytest
from simulation.contest import contest

from meshware.testing.simulation.scenario import Scenario

pytestmark = pytest.mark.untraced

OFF = {"hedge": {"enabled": False}}
SLOW = {"kind": "slow", "factor": 10, "at": 10.0, "lasts": 10.0, "replicas": [0]}


def fleet(*faults, fresh, seconds):
    return Scenario.model_validate(
        {
            "begin": 4.0,
            "duration": seconds,
            "deadline": 3.0,
            "load": 0.7,
            "replicas": [{"count": 10, "slots": 8}],
            "operations": [{"work": 0.02, "fresh": fresh}],
            "faults": faults,
        }
    )


def tails(*, seconds, fresh=True, settings=None, seeds=1):
    """The 99.9th percentile with one replica ten times slower over that of healthy times; attempts a call."""
    sick, well, tries = 0.0, 0.0, []
    for seed in range(1, seeds + 1):
        for faults in ((), (SLOW,)):
            what = fleet(*faults, fresh=fresh, seconds=seconds)
            _, tally = contest(what, "adaptive", seed=seed, settings=settings or {})
            tries.append(tally.attempts.total() / len(tally.times))
            if faults:
                sick += tally.quantile(0.999)
            else:
                well += tally.quantile(0.999)
    return sick / well, max(tries)


def test_one_slow_replica_is_not_seen_in_the_tail_for_few_attempts_more():
    over, tries = tails(seconds=24.0)
    assert over <= 1.15
    assert tries <= 1.02


@pytest.mark.soak
def test_one_slow_replica_is_not_seen_in_the_tail_of_three_hundred_thousand_calls():
    over, tries = tails(seconds=64.0, seeds=2)
    assert over <= 1.1
    assert tries <= 1.02
