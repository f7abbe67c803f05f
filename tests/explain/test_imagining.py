"""Asking what would become of a call changes nothing, and tells what the next call then finds."""

from __future__ import annotations

import random

import pytest
from explain.living import STRATEGIES, Life, world_of
from world import World, request

from meshware.context import RequestContext
from meshware.core.availability import Bar
from meshware.core.call import Call
from meshware.core.deadline import Deadline
from meshware.explain.imagining import imagine
from meshware.explain.kept import Kept
from meshware.mesh import Mesh

CALLS = 300

TAKE_TURNS = ["round_robin", "weighted_round_robin", "ring_hash", "utilization", "c3 of all", "failure_rate literally"]
"""Strategies by which chance does not decide a first attempt, or has decided already."""


def imagined(world, *, path="/items", headers=None, context=None, timeout=None):
    """What would become of a call now."""
    described = request(path=path, headers=headers, timeout=timeout)
    return imagine(world.service, described, context, overridden=lambda service, context, plan: plan, now=world.now)


def state(world):
    """All that a call could take, count or turn."""
    service = world.service
    return (
        world.rng.getstate(),
        world.tokens,
        service.limiter.in_flight,
        service.hedging._credit,
        service.operations.total._at,
        sorted(service.operations._each._named),
        [(each.address, len(each.open), dict(each.bars), each.epoch) for each in service.endpoints],
        len(world.events),
        list(service.inbox),
    )


@pytest.mark.untraced
@pytest.mark.parametrize("name", STRATEGIES)
def test_a_service_that_is_asked_before_each_call_lives_the_same_life(name):
    def ask(number, path, user):
        before = state(asked)
        for _ in range(1 + number % 3):
            imagined(asked, path=path, headers={"x-user": user})
            imagined(asked, path="/never/called", headers={"x-user": str(number)})
        assert state(asked) == before

    asked, left_alone = world_of(name), world_of(name)
    calls = Life(asked, Call, before=ask).live(CALLS)
    assert calls == Life(left_alone, Call).live(CALLS)
    assert asked.rng.getstate() == left_alone.rng.getstate()


@pytest.mark.parametrize("name", TAKE_TURNS)
def test_where_chance_does_not_decide_the_next_call_goes_where_it_was_told(name):
    told = []

    def ask(number, path, user):
        told.append(imagined(world, path=path, headers={"x-user": user} if number % 10 else {}))

    world, kept = world_of(name), Kept(CALLS)
    calls = Life(world, kept.call, before=ask).live(CALLS)
    checked = 0
    for foreseen, went, kept_of_it in zip(told, calls, kept.find(None), strict=True):
        attempt = kept_of_it.attempts[0]
        if attempt.by == "strategy" and len(attempt.picks) == 1 and not attempt.picks[0].draws:
            assert foreseen.endpoint == went[0]
            assert foreseen.attempts[0].timeout == attempt.timeout
            checked += 1
    assert checked > 100


def test_a_key_that_is_remembered_is_told_and_not_used():
    world = World(5, strategy={"sticky": {"key": {"header": "x-user"}, "strategy": "random", "ttl": 10.0}})
    call = world.call(headers={"x-user": "ada"})
    home = call.begin(world.now).endpoint.address
    remembered = []
    for _ in range(3):
        world.pass_time(4.0)
        told = imagined(world, headers={"x-user": "ada"}).attempts[0].picks[0]
        remembered.append(told.facts["remembered"])
    assert remembered == [home, home, None]  # 12 s after it was used, for being asked of is no use


def test_the_members_of_a_subset_are_not_drawn_by_asking():
    world = World(8, strategy={"subset": {"size": 2}})
    told = imagined(world)
    assert told.endpoint is None
    assert "the first call will draw" in told.attempts[0].picks[0].failed
    world.call().begin(world.now)
    assert imagined(world).endpoint is not None


class Opaque:
    """A strategy of somebody else's, which tells nothing of itself."""

    asked = 0

    def picker(self, endpoints):
        self._endpoints = endpoints
        return self

    def pick(self, call):
        Opaque.asked += 1
        return self._endpoints[0]


class Broken(Opaque):
    """One whose explanation fails."""

    def explain(self, call, pick):
        raise RuntimeError("no idea")


class Priced:
    """A scorer that tells its terms."""

    needs = ()

    def score(self, endpoint, call):
        return self.terms(endpoint, call)[0]

    def terms(self, endpoint, call):
        price = float(endpoint.port)
        return 2 * price, {"price": price}


Mesh.register("opaque-to-explain", Opaque)
Mesh.register("broken-to-explain", Broken)
Mesh.register("priced-to-explain", Priced)


@pytest.mark.parametrize("name", ["opaque-to-explain", "broken-to-explain"])
def test_a_strategy_that_cannot_tell_is_not_asked_for_nothing_and_picks_all_the_same(name):
    world, kept = World(3, strategy=name), Kept(1)
    Opaque.asked = 0
    told = imagined(world)
    assert (Opaque.asked, told.endpoint) == (0, None)
    assert told.attempts[0].picks[0].failed is not None
    attempt = kept.call(world.service, request()).begin(world.now)
    (explained,) = kept.find(None)
    assert explained.endpoint == attempt.endpoint.address == world.endpoints[0].address
    assert not [each for each in world.events if type(each).__name__ == "PluginFailed"]


def test_a_scorer_of_ones_own_may_tell_its_terms():
    world = World(["10.0.0.1:81", "10.0.0.1:82"], strategy="priced-to-explain")
    told = imagined(world).attempts[0].picks[0].candidates
    assert {each.address: each.score for each in told.values()} == {"10.0.0.1:81": 162.0, "10.0.0.1:82": 164.0}
    assert told["10.0.0.1:81"].terms == {"in_flight": 0, "weight": 1.0, "price": 81.0}


# What stands in the way


def test_the_nearest_deadline_is_told_with_whose_it_is():
    world = World(2, timeout=3.0)
    told = imagined(world).deadline
    assert (told.seconds, told.by, told.said) == (3.0, "service", {"service": 3.0})
    told = imagined(world, timeout=1.0).deadline
    assert (told.seconds, told.by, told.said) == (1.0, "client", {"service": 3.0, "client": 1.0})
    inbound = RequestContext(Deadline.after(0.5, world.now))
    told = imagined(world, timeout=1.0, context=inbound).deadline
    assert (told.seconds, told.by, told.said) == (0.5, "inbound", {"service": 3.0, "client": 1.0, "inbound": 0.5})
    assert imagined(World(2)).deadline.by == "default"


def test_an_attempt_has_its_own_limit_while_another_may_follow():
    world = World(2, timeout=3.0, connect_timeout=0.05)
    told = imagined(world).attempts[0]
    assert (told.timeout.by, told.timeout.seconds) == ("deadline", 3.0)
    assert (told.connect.by, told.connect.seconds) == ("connect_timeout", 0.05)
    world.succeed(100, elapsed=0.1)
    told = imagined(world)
    pace = told.standing.p95
    assert (told.attempts[0].timeout.by, told.attempts[0].timeout.seconds) == (
        "attempt_timeout",
        pytest.approx(3 * pace),
    )
    assert told.attempts[0].hedge_after == pytest.approx(1.5 * pace)
    narrow = imagined(world, timeout=0.3).attempts[0]
    assert (narrow.timeout.by, narrow.timeout.seconds) == ("share", pytest.approx(0.15))
    assert narrow.timeout.said == {"deadline": pytest.approx(0.3), "share": pytest.approx(0.15)}


def test_what_would_be_refused_is_told_and_not_counted():
    world = World(2, ejection={"enabled": False}, circuit={"calls": 3, "span": 0.1}, retry={"attempts": 1})
    for _ in range(12):
        call = world.call()
        try:
            world.answer(call, call.begin(world.now), 500, after=0.2)
        except Exception:
            break
    told = imagined(world)
    assert told.refused.startswith("CircuitOpen")
    assert told.standing.circuit.startswith("open for")
    assert told.attempts == []
    world.pass_time(60.0)
    assert imagined(world).standing.circuit == "half-open: the next call is its trial"
    assert imagined(world).endpoint is not None


def test_a_call_that_would_come_too_late_is_told_and_the_next_one_let_through():
    world = World(2)
    world.succeed(30, elapsed=0.4)
    first, second = (imagined(world, timeout=0.01) for _ in range(2))
    assert first.refused == second.refused


def test_an_ejected_endpoint_is_told_with_its_reason_and_then_its_trial():
    world = World(3)
    gone = world.endpoints[1]
    for _ in range(3):
        call = world.call()
        attempt = call.begin(world.now)
        while attempt.endpoint is not gone:
            call.abandon(attempt, world.now)
            call = world.call()
            attempt = call.begin(world.now)
        world.answer(call, attempt, 500)
    world.keep_house()
    told = imagined(world)
    assert told.standing.barred == {gone.address: "ejected (3 failures in a row)"}
    world.pass_time(2.0)
    before = state(world)
    told = imagined(world).attempts[0]
    assert (told.endpoint, told.by) == (gone.address, "trial")
    assert state(world) == before
    assert world.call().begin(world.now).endpoint is gone


def test_a_service_without_an_endpoint_tells_why():
    world = World(1)
    world.endpoints[0].availability.bar(Bar.HELD)
    world.service.change()
    world.keep_house()
    assert "held by hand" in imagined(world).refused


def test_chance_of_its_own_decides_for_nobody_else():
    world = World(4, strategy="random")
    random.seed(1)
    before = random.getstate()
    assert {imagined(world).endpoint for _ in range(60)} == {each.address for each in world.endpoints}
    assert random.getstate() == before
