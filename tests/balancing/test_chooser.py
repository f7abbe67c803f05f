"""The generic chooser: a user's `score` alone is a strategy, and a wrong one never breaks a call."""

from __future__ import annotations

from collections import Counter

import pytest
from world import World

from meshware.balancing.chooser import Chooser
from meshware.balancing.meters import FailureRate
from meshware.core.call import Retry
from meshware.core.events import PluginFailed


class Cheapest:
    """A user's strategy in full."""

    needs = ()

    def score(self, endpoint, call):
        return float(endpoint.metadata["price"])


class Scores:
    """Always the same score."""

    needs = (FailureRate(5.0),)

    def __init__(self, score):
        self._score = score

    def score(self, endpoint, call):
        if isinstance(self._score, Exception):
            raise self._score
        return self._score


def world_of(scorer, *, endpoints=4, **options):
    world = World(endpoints)
    for number, endpoint in enumerate(world.endpoints):
        endpoint.metadata = {"price": number}
    world.service.strategy = Chooser(scorer, **options)
    world.service.refresh(world.now)
    return world


def test_the_least_score_of_those_drawn_is_taken():
    assert world_of(Cheapest(), choices=4).picks(2000) == {"10.0.0.1:80": 2000}
    shares = world_of(Cheapest(), choices=2).picks(2000)
    assert shares["10.0.0.1:80"] == pytest.approx(1000, rel=0.1)
    assert shares["10.0.0.4:80"] == 0


def test_a_tie_is_spread():
    assert min(world_of(Scores(1.0), choices=2).picks(2000).values()) > 350


def test_one_endpoint_needs_no_score():
    assert world_of(Scores(ValueError("never asked")), endpoints=1).picks(3) == {"10.0.0.1:80": 3}


def test_the_meters_that_it_needs_are_attached():
    world = world_of(Scores(1.0))
    assert all(FailureRate(5.0) in endpoint.readings for endpoint in world.endpoints)


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0, RuntimeError("no idea")], ids=str)
def test_a_score_that_is_none_is_told_of_and_the_stand_in_decides(score):
    world = world_of(Scores(score))
    assert len(world.picks(200)) == 4
    failed = next(each for each in world.events if isinstance(each, PluginFailed))
    assert "score" in failed.error or "no idea" in failed.error


@pytest.mark.parametrize("choices", [1, 0, -1, 2.5, True, "4"])
def test_fewer_than_two_choices_are_refused(choices):
    with pytest.raises(ValueError, match="from 2 on"):
        Chooser(Cheapest(), choices=choices)


def test_a_retry_for_which_only_what_it_has_tried_was_drawn_goes_to_any_other():
    heavy = {"address": "10.0.0.100:80", "weight": 100}
    world = World([*(f"10.0.0.{number}:80" for number in range(1, 9)), heavy], strategy="response_time")
    seen = Counter()
    for _ in range(300):
        call = world.call()
        attempt = call.begin(world.now)
        step = world.answer(call, attempt, 503)
        if isinstance(step, Retry):
            assert step.attempt.endpoint is not attempt.endpoint
            seen[step.attempt.endpoint.address] += 1
            call.abandon(step.attempt, world.now)
        world.succeed(5)
    assert max(seen.values()) < 0.4 * seen.total()
