"""Call: what is refused before anything is sent, and that refusals keep nothing."""

from __future__ import annotations

from datetime import datetime

import pytest
from core.policies import Limiter, Recorder
from world import World

from meshware.core.availability import Bar
from meshware.core.errors import CircuitOpen, NoEndpoint, Overloaded
from meshware.core.events import PluginFailed
from meshware.core.outcome import Verdict


def test_an_open_circuit_refuses_and_says_until_when():
    world = World(1, retry={"attempts": 1}, ejection={"enabled": False})
    for _ in range(20):
        call = world.call()
        world.fail(call, call.begin(world.now), after=0.2)
    with pytest.raises(CircuitOpen) as refused:
        world.call().begin(world.now)
    assert refused.value.until > world.now
    assert world.in_flight() == 0


@pytest.mark.row("F35")
def test_a_trial_of_the_circuit_that_is_abandoned_can_be_had_again():
    world = World(1, retry={"attempts": 1}, ejection={"enabled": False})
    for _ in range(20):
        call = world.call()
        world.fail(call, call.begin(world.now), after=0.2)
    world.pass_time(5)
    trial = world.call()
    attempt = trial.begin(world.now)
    with pytest.raises(CircuitOpen):
        world.call().begin(world.now)
    trial.abandon(attempt, world.now)
    again = world.call()
    world.answer(again, again.begin(world.now))
    world.call().begin(world.now)


@pytest.mark.parametrize("until", [datetime(2026, 11, 27), "soon"])
def test_a_breaker_that_says_no_time_lets_the_call_through_and_is_told_of(monkeypatch, until):
    world = World(1)
    monkeypatch.setattr(world.service.circuit, "admit", lambda now: None, raising=False)
    monkeypatch.setattr(world.service.circuit, "until", lambda now: until, raising=False)
    call = world.call()
    world.answer(call, call.begin(world.now))
    assert {each.plugin for each in world.events if isinstance(each, PluginFailed)} == {"circuit"}


def test_a_limiter_refuses_before_anything_is_sent_and_gets_every_slot_back():
    world = World()
    limiter = world.service.limiter = Limiter(2)
    one, two, three = world.call(), world.call(), world.call()
    first, second = one.begin(world.now), two.begin(world.now)
    with pytest.raises(Overloaded, match="no room"):
        three.begin(world.now)
    assert limiter.room == 0
    world.answer(one, first)
    assert limiter.room == 0
    world.read(one, first)
    two.abandon(second, world.now)
    world.service.settle(world.now)
    assert limiter.room == 2
    assert limiter.released == [Verdict.SUCCESS, None]


def test_a_failed_call_gives_its_limiter_slot_back():
    world = World()
    limiter = world.service.limiter = Limiter(1)
    call = world.call("POST")
    world.fail(call, call.begin(world.now))
    assert limiter.room == 1


@pytest.mark.row("F48")
def test_a_call_without_an_endpoint_gives_back_its_slot_and_says_each_state():
    world = World(2)
    limiter = world.service.limiter = Limiter(1)
    watcher = Recorder(world.service)

    for endpoint in world.endpoints:
        endpoint.availability.bar(Bar.HELD, detail="maintenance")
    with pytest.raises(NoEndpoint, match=r"10\.0\.0\.1:80: held by hand \(maintenance\)"):
        world.call().begin(world.now)
    assert limiter.room == 1
    assert watcher.names() == ["on_done"]
