"""Subsets: few of many endpoints, the same ones while they are there, others for other clients."""

from __future__ import annotations

from collections import Counter

import pytest
from world import World

from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.testing import check_strategy


def world(endpoints=100, *, seed=1, **options):
    return World(endpoints, seed=seed, strategy={"subset": {"strategy": "round_robin", **options}})


def members(made):
    """All that are picked: the inner strategy takes each in turn."""
    return {made.service.picker.pick(made.call()) for _ in range(len(made.endpoints))}


def addresses(made):
    return {each.address for each in members(made)}


def test_of_many_endpoints_twenty_share_the_calls():
    seen = world(client="a").picks(10_000)
    assert len(seen) == 20
    assert set(seen.values()) == {500}


def test_of_a_few_all_are_members():
    assert len(members(world(15))) == 15


def test_weights_count_among_the_members():
    made = world(50, client="a", size=10)
    for endpoint in made.endpoints:
        endpoint.weight = 1.0 + 2.0 * (endpoint.host[-1] in "02468")
    made.service.refresh(made.now)
    seen = Counter(made.service.picker.pick(made.call()) for _ in range(10_000))
    total = sum(endpoint.weight for endpoint in seen)
    assert len(seen) == 10
    assert all(abs(count - 10_000 * endpoint.weight / total) <= 2 for endpoint, count in seen.items())


def test_a_named_client_has_the_same_subset_after_a_restart():
    assert addresses(world(client="a", seed=1)) == addresses(world(client="a", seed=2))
    assert addresses(world(client="a")) != addresses(world(client="b"))


def test_workers_without_a_name_have_different_subsets_that_last():
    made = [world(seed=seed) for seed in range(20)]
    before = [members(each) for each in made]
    assert len({frozenset(each) for each in map(addresses, made)}) == 20
    for each in made:
        each.service.refresh(each.now)
    assert [members(each) for each in made] == before


def test_every_endpoint_is_in_its_share_of_subsets():
    seen = Counter(address for client in range(400) for address in addresses(world(40, client=str(client), size=10)))
    assert len(seen) == 40
    assert all(abs(count - 100) < 50 for count in seen.values())


def test_an_endpoint_removed_or_added_changes_at_most_one_member():
    made = world(client="a")
    fleet, before = made.endpoints, members(made)
    for gone in fleet:
        rest = [each for each in fleet if each is not gone]
        made.service.replace(rest, made.now)
        after = members(made)
        assert len(after) == 20
        assert before - after == before & {gone}
        made.service.replace([*rest, gone], made.now)
        assert members(made) == before
    made.service.replace([*fleet, Endpoint("10.9.0.1:80")], made.now)
    assert len(before - members(made)) <= 1


def test_an_unavailable_member_is_stood_in_for_and_comes_back_to_its_place():
    made = world(client="a")
    before = members(made)
    out = sorted(before, key=lambda each: each.address)[:3]
    for endpoint in out:
        endpoint.availability.bar(Bar.HELD)
    made.service.refresh(made.now)
    assert len(members(made)) == 20
    assert before - members(made) == {*out}
    for endpoint in out:
        endpoint.availability.lift(Bar.HELD)
    made.service.refresh(made.now)
    assert members(made) == before


@pytest.mark.parametrize("options", [{}, {"size": 1}, {"size": 3, "client": "a", "strategy": "c3"}])
def test_fit_for_use(options):
    check_strategy({"subset": options})


def test_a_subset_may_be_sticky():
    check_strategy({"sticky": {"key": "path", "strategy": {"subset": {"size": 2}}}})
    check_strategy({"subset": {"size": 5, "strategy": {"sticky": {"key": "path"}}}})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"size": 0}, "size must be a whole number from 1 on, not 0"),
        ({"size": True}, "size must be a whole number"),
        ({"client": ""}, "client must be a name, or None for one drawn at random, not ''"),
        ({"client": 7}, "client must be a name"),
        ({"strategy": {"least_request": {"choices": 1}}}, "choices must be a whole number from 2 on"),
    ],
)
def test_bad_options_are_refused(options, complaint):
    with pytest.raises(ValueError, match=complaint):
        World(2, strategy={"subset": options})
