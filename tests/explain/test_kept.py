"""What is kept of real calls: the endpoint is the one that was picked, and the terms recompute the score."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from explain.formulas import FORMULAS, at, guarded, hashed, utilization_shares
from explain.living import STRATEGIES, Life, world_of
from world import World, request

from meshware.core.call import Attempt, Call
from meshware.core.outcome import Ending, Outcome
from meshware.explain.kept import Kept

CALLS = 500
"""By each of the strategies: more than 10,000 in all."""

SCORED = sorted(FORMULAS)


@cache
def lived(name):
    """A service by this strategy, where its calls went, and the explanations of them."""
    world, kept = world_of(name), Kept(CALLS)
    return world, Life(world, kept.call).live(CALLS), kept.find(None)


def picks(explanations):
    """Each answer of the strategy, and whom the call, or this question for it, was not to go to."""
    for each in explanations:
        tried = []
        for attempt in each.attempts:
            for pick in attempt.picks:
                yield pick, tried.copy()
                tried.append(pick.endpoint)
            tried.append(attempt.endpoint)


def fails(world):
    return [each for each in world.events if type(each).__name__ == "PluginFailed"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_what_is_told_is_where_the_calls_went(name):
    world, calls, explanations = lived(name)
    assert len(calls) == len(explanations) == CALLS
    assert [[told.endpoint for told in each.attempts] for each in explanations] == calls
    assert not fails(world)


def test_the_calls_of_these_tests_are_ten_thousand_and_more():
    assert len(STRATEGIES) * CALLS >= 10_000


@pytest.mark.parametrize("name", STRATEGIES)
def test_calls_go_where_they_would_if_nothing_were_kept(name):
    world, calls, _ = lived(name)
    unwatched = world_of(name)
    assert Life(unwatched, Call).live(CALLS) == calls
    assert unwatched.rng.getstate() == world.rng.getstate()
    assert [type(each) for each in unwatched.events] == [type(each) for each in world.events]


@pytest.mark.parametrize("name", SCORED)
def test_the_terms_recompute_the_score(name):
    formula, checked = FORMULAS[name], 0
    _, _, explanations = lived(name)
    for pick, _ in picks(explanations):
        for each in pick.candidates.values():
            plain = set(each.terms) <= {"in_flight", "weight", "share"}
            expected = (guarded if plain else formula)(**each.terms)
            if expected is not None:
                assert each.score == pytest.approx(expected, rel=1e-9, abs=1e-12)
                checked += 1
    assert checked >= CALLS or name in ("weighted_round_robin", "sticky", "maglev", "ring_hash within bounds")


@pytest.mark.parametrize("name", SCORED)
def test_the_least_score_is_picked(name):
    _, _, explanations = lived(name)
    for pick, tried in picks(explanations):
        found = [each for each in pick.candidates.values() if each.address not in tried]
        picked = pick.candidates.get(pick.endpoint)
        if picked is None or not found or pick.endpoint in tried:
            continue
        near = 1 + pick.facts.get("near", 0.0)
        assert picked.score <= min(each.score for each in found) * near ** len(found)


def test_the_life_of_these_tests_has_all_that_can_happen():
    told = {name: [attempt for each in lived(name)[2] for attempt in each.attempts] for name in STRATEGIES}
    every = [attempt for each in told.values() for attempt in each]
    assert {"strategy", "stand-in", "trial"} == {each.by for each in every}
    assert any(each.hedge for each in every)
    assert any(each.number > 1 for each in every)
    candidates = [each for attempt in every for pick in attempt.picks for each in pick.candidates.values()]
    assert any(each.terms.get("late") for each in candidates)
    assert any("asked again" in pick.facts.values() for attempt in every for pick in attempt.picks)
    contextual = [pick for attempt in told["contextual"] for pick in attempt.picks]
    assert any("factor" in each.terms for pick in contextual for each in pick.candidates.values())
    assert any(set(each.terms) == {"in_flight", "weight"} for each in candidates)  # while the fleet guard holds


def test_an_overdue_attempt_has_adaptive_look_closely():
    world, kept = World(2, strategy="adaptive", attempt_timeout=None, hedge={"enabled": False}), Kept(1)
    world.succeed(100)
    hung = world.call().begin(world.now)
    world.pass_time(0.3)
    busy = next(each for each in world.endpoints if each is not hung.endpoint)
    for _ in range(3):
        busy.open[Attempt(busy, 1, world.now, world.now + 1, world.now + 1)] = world.now
    kept.call(world.service, request()).begin(world.now)
    ((pick,),) = [attempt.picks for each in kept.find(None) for attempt in each.attempts]
    assert "overdue" in pick.facts["looked again"]
    late = pick.candidates[hung.endpoint.address]
    assert late.terms["late"] > 0.2
    assert late.score == pytest.approx(FORMULAS["adaptive"](**late.terms))
    assert pick.endpoint == busy.address


@pytest.mark.parametrize("strategy", ["adaptive", "least_request", "c3"])
def test_threads_at_once_are_each_told_by_what_they_saw_themselves(strategy):
    world, kept, went = World(6, strategy=strategy), Kept(2000), {}
    world.service.limiter = None

    def calls(thread):
        for number in range(300):
            call = kept.call(world.service, request(headers={"x-request-id": f"{thread}-{number}"}))
            attempt = call.begin(world.now)
            went[f"{thread}-{number}"] = attempt.endpoint.address
            if number % 2:
                call.answered(attempt, Outcome(elapsed=0.01, status=200), world.now)
                call.ended(attempt, Ending.COMPLETE, 0.01, world.now)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(calls, range(4)))
    for each in kept.find(None):
        ((pick,),) = [attempt.picks for attempt in each.attempts]
        assert pick.endpoint == each.endpoint == went[each.request_id]
        for found in pick.candidates.values():
            if strategy != "adaptive":  # whose cost another thread may be reckoning anew
                assert found.score == pytest.approx(FORMULAS[strategy](**found.terms))
        near = 1 + pick.facts.get("near", 0.0)
        least = min(found.score for found in pick.candidates.values())
        assert pick.candidates[pick.endpoint].score <= least * near ** len(pick.candidates)
    assert len(went) == 1200


def test_round_robin_tells_its_turn():
    world, _, explanations = lived("round_robin")
    usable = [
        each for each in explanations if each.standing.barred == {} and each.attempts[0].picks[0].facts["of"] == 8
    ]
    for each in usable:
        pick = each.attempts[0].picks[0]
        place = (pick.facts["start"] + pick.facts["turn"]) % pick.facts["of"]
        assert world.endpoints[place].address == pick.endpoint
    assert len(usable) > 20


def test_chance_tells_its_draw():
    world, _, explanations = lived("random")
    checked = 0
    for each in explanations:
        pick = each.attempts[0].picks[0] if each.attempts and each.attempts[0].picks else None
        if pick is None or pick.facts["weights"] != sum(endpoint.weight for endpoint in world.endpoints):
            continue
        place = at(pick.draws[0], [endpoint.weight / pick.facts["weights"] for endpoint in world.endpoints])
        assert world.endpoints[place].address == pick.endpoint
        checked += 1
    assert checked > 50


def test_utilization_tells_every_share_and_the_reports_it_is_made_of():
    _, _, explanations = lived("utilization")
    told = [pick for pick, _ in picks(explanations) if "point" in pick.facts]
    for pick in told:
        candidates = list(pick.candidates.values())
        reported, shares = utilization_shares(candidates)
        assert [each.terms["reported"] for each in candidates] == pytest.approx(reported)
        assert [each.score for each in candidates] == pytest.approx(shares)
        assert candidates[at(pick.facts["point"], shares)].address == pick.endpoint
    assert len(told) > 100
    assert any("eps" in each.terms for pick in told for each in pick.candidates.values())


@pytest.mark.parametrize("name", ["ring_hash", "maglev", "ring_hash within bounds"])
def test_hashing_tells_the_key_and_its_hash(name):
    _, _, explanations = lived(name)
    told = [pick for pick, _ in picks(explanations) if pick.facts.get("key")]
    homes: dict[str, set[str]] = {}
    for pick in told:
        assert pick.facts["hash"] == hashed(pick.facts["key"])
        if pick.facts["place"] == 0 and not pick.candidates:
            homes.setdefault(pick.facts["key"], set()).add(pick.endpoint)
    assert len(told) > 200
    assert homes
    assert all(len(each) == 1 for each in homes.values())


def test_sticky_tells_what_it_remembers():
    _, _, explanations = lived("sticky")
    told = [pick for pick, _ in picks(explanations) if pick.facts["remembered"] is not None]
    kept = [pick for pick in told if not pick.candidates]
    assert len(kept) > 200
    assert all(pick.endpoint == pick.facts["remembered"] for pick in kept)


def test_localities_tell_who_gets_how_much():
    _, _, explanations = lived("near")
    shares = [pick.facts["localities"] for pick, _ in picks(explanations)]
    assert all(sum(each.values()) == pytest.approx(1.0) for each in shares)
    assert any(len(each) > 1 for each in shares)
