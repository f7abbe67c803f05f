"""Probe-ahead: who is asked, how long an answer counts, and that the next pick goes by it."""

from __future__ import annotations

from collections import Counter

import pytest
from world import START, World

from meshware.balancing.adaptive import Adaptive
from meshware.balancing.probing import MEMORY, REST
from meshware.core.outcome import LoadReport
from meshware.settings.load import load

AHEAD = {"adaptive": {"probe_ahead": True}}


class Asker:
    """In the prober's place: answers at once what `in_flight` says, by address; nothing for the others."""

    def __init__(self, **in_flight):
        self.in_flight = in_flight
        self.asked = []
        self.stopped = False

    def ask(self, those, now):
        self.asked.append([each.endpoint.address for each in those])
        for each in those:
            if now < each.rests:
                continue
            queue = self.in_flight.get(each.endpoint.address)
            if queue is None:
                each.silent(now)
            else:
                each.told(LoadReport(0.5, rps=10.0, queue=queue), now)

    def stop(self):
        self.stopped = True


def world_of(endpoints=4, **in_flight):
    """A warm service whose endpoints are asked by an Asker."""
    world = World(endpoints, strategy=AHEAD)
    asker = world.service.learner.prober = Asker(**in_flight)
    world.service.change()
    world.keep_house()
    world.succeed(40, elapsed=0.1)
    asker.asked.clear()
    return world, asker


def address(number):
    return f"10.0.0.{number}:80"


def cost_at(world, number):
    (reading,) = world.endpoints[number - 1].samplers
    return reading


def test_the_next_calls_candidates_are_asked_at_each_pick():
    world, asker = world_of(10)
    world.picks(20)
    assert len(asker.asked) == 20
    assert all(len(set(each)) == 4 for each in asker.asked)


def test_a_call_goes_to_one_of_those_that_were_asked_at_the_pick_before():
    world, asker = world_of(10)
    world.picks(1)
    for _ in range(50):
        before = asker.asked[-1]
        (picked,) = world.picks(1)
        assert picked in before


def test_where_others_are_busy_nobody_is_sent():
    busy = {address(1): 30.0, address(2): 0.0, address(3): 0.0, address(4): 30.0}
    world, _ = world_of(4, **busy)
    world.picks(1)
    picked = world.picks(200)
    assert set(picked) == {address(2), address(3)}


def test_what_is_ours_is_not_counted_twice():
    world, asker = world_of(2, **{address(1): 3.0, address(2): 3.0})
    calls = [world.call() for _ in range(6)]
    for call in calls:
        call.begin(world.now)
    ours = [len(each.open) for each in world.endpoints]
    asker.ask([cost_at(world, 1), cost_at(world, 2)], world.now)
    found = [cost_at(world, number).others(world.now) for number in (1, 2)]
    assert found == [max(0.0, 3.0 - each) for each in ours]


def test_an_answer_fades_to_what_is_usual():
    world, _ = world_of(2)
    cost = cost_at(world, 1)
    cost.told(LoadReport(0.5, queue=10.0), world.now)
    usual, pace = cost._fleet.others, cost._fleet.pace
    assert cost.others(world.now) == 10.0
    assert cost.others(world.now + MEMORY * pace) == pytest.approx(usual + (10 - usual) / 2.718, rel=0.01)
    assert cost.others(world.now + 60) == pytest.approx(usual)
    assert cost_at(world, 2).others(world.now) == usual


@pytest.mark.parametrize("report", [LoadReport(0.5), LoadReport(0.5, queue=-1.0), LoadReport(0.5, queue=float("nan"))])
def test_an_answer_that_makes_no_sense_is_none(report):
    world, _ = world_of(2)
    cost = cost_at(world, 1)
    cost.told(report, world.now)
    assert cost.others(world.now) == 0.0
    assert cost.rests == world.now + REST


def test_who_does_not_answer_is_left_alone_for_a_while():
    world, _ = world_of(2)
    cost = cost_at(world, 1)
    cost.asking = True
    cost.silent(START)
    assert not cost.asking
    assert cost.rests == START + REST


def test_without_answers_it_picks_as_adaptive_does():
    world, _ = world_of(4)
    picked = world.picks(400)
    assert set(picked) == {address(number) for number in range(1, 5)}
    assert max(picked.values()) < 250


def test_weights_hold():
    endpoints = [{"address": address(1), "weight": 3}, {"address": address(2), "weight": 1}]
    world = World(endpoints, strategy=AHEAD)
    world.service.learner.prober = Asker(**{address(1): 0.0, address(2): 0.0})
    world.service.change()
    world.keep_house()
    picked = Counter()
    for _ in range(300):
        picked += world.picks(1)
    assert picked[address(1)] > picked[address(2)] > 0


def test_an_endpoint_that_has_gone_is_not_picked():
    world, _ = world_of(4, **{address(number): 0.0 for number in range(1, 5)})
    world.picks(3)
    world.service.replace(world.endpoints[:2], world.now)
    world.keep_house()
    assert set(world.picks(100)) == {address(1), address(2)}


def test_a_retry_goes_elsewhere():
    world, _ = world_of(4, **{address(number): 0.0 for number in range(1, 5)})
    call = world.call()
    attempt = call.begin(world.now)
    step = world.answer(call, attempt, 503)
    assert step.attempt.endpoint is not attempt.endpoint


def test_it_is_off_unless_asked_for():
    settings = {"services": {"inventory": {"endpoints": ["10.0.0.1:80"]}}}
    assert load(settings).services["inventory"].strategy.options == {}
    assert not Adaptive().probes
    assert World(2, strategy="adaptive").service.learner.prober is None


def test_where_there_is_tls_nobody_is_asked_in_plain_text():
    assert World(2, strategy=AHEAD, tls={}).service.learner.prober is None
    assert World(2, strategy=AHEAD).service.learner.prober is not None


@pytest.mark.parametrize("wrong", ["yes", 1, None])
def test_it_is_true_or_false(wrong):
    with pytest.raises(ValueError, match="probe_ahead must be true or false"):
        Adaptive(probe_ahead=wrong)
