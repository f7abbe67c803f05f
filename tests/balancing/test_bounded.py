"""Bounded load: what is in flight decides when a key must go elsewhere, and where to."""

from __future__ import annotations

import pytest
from world import World

from meshware.balancing.bounded import prime
from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint

pytest.importorskip("xxhash")

KEY = {"header": "x-key"}


def world(factor, *weights):
    made = World(1, strategy={"ring_hash": {"key": KEY, "hash_balance_factor": factor}}, retry={"attempts": 1})
    made.service.replace(
        [Endpoint(f"10.0.{number}.1:80", weight=weight) for number, weight in enumerate(weights)], made.now
    )
    return made


def pick(made, key="everybody"):
    call = made.call(headers={"x-key": key})
    call.now = made.now
    return made.service.picker.pick(call)


def occupy(made, count):
    """So many calls of one key that are not answered; how many each endpoint has, by its number."""
    for _ in range(count):
        fill(pick(made), 1)
    return [endpoint.load for endpoint in made.endpoints]


def fill(endpoint, count):
    endpoint.open.update({object(): 0.0 for _ in range(count)})


@pytest.mark.parametrize("factor", [100, 125, 200])
def test_no_endpoint_has_more_than_its_bound(factor):
    assert 40 <= max(occupy(world(factor, *[1] * 10), 400)) <= 40 * factor / 100 + 2


def test_without_a_bound_all_calls_of_a_key_go_to_one_endpoint():
    assert max(occupy(world(None, *[1] * 10), 400)) == 400


def test_the_bound_is_by_weight():
    assert occupy(world(100, 1, 1, 2), 400) == pytest.approx([100, 100, 200], abs=4)


def test_keys_of_one_overloaded_endpoint_are_spread_over_the_others_and_no_other_key_moves():
    made = world(125, *[1] * 40)
    keys = [f"key-{number}" for number in range(2000)]
    homes = {key: pick(made, key) for key in keys}
    full = homes["key-0"]
    fill(full, 50)
    there = {key: pick(made, key) for key in keys}
    assert all(there[key] is home for key, home in homes.items() if home is not full)
    turned = [there[key] for key, home in homes.items() if home is full]
    assert full not in turned
    assert len(set(turned)) > len(turned) / 3
    assert [pick(made, key) for key in keys] == [*there.values()]


def test_the_way_out_leads_to_none_that_is_barred_or_tried():
    made = world(100, 1, 1, 1, 1)
    home = pick(made)
    fill(home, 50)
    barred, tried, left = (each for each in made.endpoints if each is not home)
    barred.availability.bar(Bar.HELD)
    call = made.call(headers={"x-key": "everybody"})
    call.now, call.tried = made.now, (tried,)
    assert made.service.picker.pick(call) is left


def test_an_endpoint_over_its_bound_is_better_than_none():
    made = world(100, 1, 1)
    home = pick(made)
    fill(home, 8)
    next(each for each in made.endpoints if each is not home).availability.bar(Bar.HELD)
    assert pick(made) is home


def test_primes_are_told():
    assert [number for number in range(2, 30) if prime(number)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    assert prime(65_537)
    assert not prime(65_536)
