"""Ring hash and Maglev: Envoy's picks, few keys moved, shares by weight, and a way around what may not be used."""

from __future__ import annotations

import json
import sys

import pytest
from balancing.record_envoy_picks import KEYS, PORT, TABLE, WEIGHTS, address
from world import World

from meshware.balancing.maglev import Maglev
from meshware.balancing.ring_hash import RingHash
from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.core.events import PluginFailed
from meshware.testing import check_strategy

pytest.importorskip("xxhash")

KEY = {"header": "x-key"}
KINDS = {"ring_hash": RingHash, "maglev": Maglev}
RECORDED = json.loads(TABLE.read_text())


def fleet(*weights):
    """The endpoints that Envoy was asked about."""
    return [Endpoint(f"{address(number)}:{PORT}", weight=weight) for number, weight in enumerate(weights)]


def world(strategy, endpoints, **settings):
    made = World(1, strategy={strategy: {"key": KEY}} if isinstance(strategy, str) else strategy, **settings)
    made.service.replace(endpoints, made.now)
    return made


def picks(made, keys=KEYS):
    """Where each key goes, straight from the picker."""
    return [picked(made, key) for key in keys]


def picked(made, key):
    call = made.call(headers={"x-key": key})
    call.now = made.now
    return made.service.picker.pick(call)


@pytest.mark.untraced
@pytest.mark.parametrize("case", RECORDED["picks"])
def test_a_thousand_keys_go_where_envoy_sends_them(case):
    strategy, _, size = case.partition(" ")
    endpoints = fleet(*WEIGHTS[size])
    expected = [endpoints[int(number)] for number in RECORDED["picks"][case].split()]
    assert RECORDED["envoy"] == "1.40.0"
    assert len(expected) == 1000
    assert picks(world(strategy, endpoints)) == expected


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("strategy", "size", "bound"),
    [
        ("ring_hash", 7, 2.0),  # each of the rest gets more marks, so that there are 1,024 again
        ("ring_hash", 50, 1.5),
        ("ring_hash", 500, 1.5),
        ("maglev", 7, 1.5),
        ("maglev", 50, 1.5),
        ("maglev", 500, 8.0),  # at 131 places an endpoint, 1 % of the keys change places among the others
    ],
)
def test_a_removed_endpoint_takes_few_keys_with_it(strategy, size, bound):
    endpoints = fleet(*[1] * size)
    whole = world(strategy, endpoints)
    removed = endpoints[:: max(size // 10, 1)]
    fewer = [world(strategy, [each for each in endpoints if each is not gone]) for gone in removed]
    total = sum(moved(whole, each) for each in fewer)
    assert 0 < total / len(removed) / len(KEYS) <= bound / size


def test_a_larger_maglev_table_moves_fewer_keys():
    endpoints = fleet(*[1] * 50)
    strategy = {"maglev": {"key": KEY, "table_size": 1021}}
    small = moved(world(strategy, endpoints), world(strategy, endpoints[1:]))
    assert moved(world("maglev", endpoints), world("maglev", endpoints[1:])) < small / 2


def moved(before, after):
    return sum(old is not new for old, new in zip(picks(before), picks(after), strict=True))


@pytest.mark.parametrize("strategy", KINDS)
@pytest.mark.parametrize("size", [7, 50, 500])
def test_an_endpoint_that_is_away_takes_its_own_keys_with_it_and_brings_them_back(strategy, size):
    made = world(strategy, fleet(*[1] * size))
    before = picks(made)
    for away in made.endpoints[:: max(size // 10, 1)]:
        away.availability.bar(Bar.EJECTED)
        made.service.refresh(made.now)
        meanwhile = picks(made)
        assert away not in meanwhile
        assert all(old is new or old is away for old, new in zip(before, meanwhile, strict=True))
        away.availability.lift(Bar.EJECTED)
    made.service.refresh(made.now)
    assert picks(made) == before


@pytest.mark.parametrize("strategy", KINDS)
def test_a_table_is_made_anew_for_other_endpoints_and_other_weights_only(strategy, monkeypatch):
    made, tables = world(strategy, fleet(*[1] * 5)), []
    kind = KINDS[strategy]
    table = kind.table
    monkeypatch.setattr(kind, "table", lambda self, *facts: tables.append(1) or table(self, *facts))

    def tables_made_by(change):
        tables.clear()
        change()
        made.service.refresh(made.now)
        return len(tables)

    first, *others = made.endpoints
    assert tables_made_by(lambda: first.availability.bar(Bar.EJECTED)) == 0
    assert tables_made_by(lambda: first.availability.lift(Bar.EJECTED)) == 0
    assert tables_made_by(lambda: made.service.replace(fleet(2, 1, 1, 1, 1), made.now)) == 1
    assert tables_made_by(lambda: made.service.replace(others, made.now)) == 1
    assert (
        tables_made_by(lambda: made.service.replace([Endpoint("10.0.0.1:80"), Endpoint("10.0.0.2:80")], made.now)) == 1
    )
    assert len(made.service.learner._made) == 1


@pytest.mark.parametrize("strategy", KINDS)
def test_a_key_has_one_endpoint_where_localities_share_out_the_calls(strategy):
    places = ["aws/eu/a"] * 3 + ["gcp/eu/a"] * 3
    endpoints = [{"address": f"10.0.0.{number}:80", "locality": place} for number, place in enumerate(places)]
    weighted = {"mode": "weighted", "weights": {"aws": 80, "gcp": 20}}
    made = World(endpoints, strategy={strategy: {"key": KEY}}, locality=weighted)
    made.service.refresh(made.now)
    homes = picks(made)
    assert picks(made) == homes
    assert sum(each.locality.cloud == "aws" for each in homes) / len(homes) == pytest.approx(0.8, abs=0.05)
    assert made.picks(10_000)["10.0.0.0:80"] == pytest.approx(2667, abs=300)  # those without a key


@pytest.mark.parametrize("strategy", KINDS)
def test_a_key_whose_endpoint_warms_up_goes_there_or_to_its_next_one(strategy):
    made = world(strategy, fleet(*[1] * 10))
    home = picked(made, "somebody")
    home.availability.warm(made.now, 10.0)
    seen = [made.call(headers={"x-key": "somebody"}).begin(made.now).endpoint for _ in range(100)]
    assert len(set(seen)) == 2
    assert 0 < seen.count(home) < 40


def test_a_bound_bears_an_endpoint_that_is_back_before_it_was_told():
    made = world({"ring_hash": {"key": KEY, "hash_balance_factor": 125}}, fleet(*[1] * 5))
    home = picked(made, "somebody")
    home.availability.bar(Bar.OVERLOADED, made.now + 1.0)
    made.service.refresh(made.now)
    made.now += 1.0
    for _ in range(10):
        made.call(headers={"x-key": "somebody"}).begin(made.now)
    assert not [each for each in made.events if isinstance(each, PluginFailed)]


@pytest.mark.parametrize("strategy", KINDS)
def test_where_next_to_nobody_is_left_they_get_the_keys(strategy):
    made = world(strategy, fleet(*[1] * 500))
    for away in made.endpoints[2:]:
        away.availability.bar(Bar.EJECTED)
    made.service.refresh(made.now)
    assert set(picks(made)) == set(made.endpoints[:2])


@pytest.mark.parametrize("strategy", KINDS)
def test_shares_follow_the_weights(strategy):
    made = world(strategy, fleet(1, 2, 5))
    seen = picks(made, [f"key-{number}" for number in range(10_000)])
    for endpoint in made.endpoints:
        assert seen.count(endpoint) == pytest.approx(1250 * endpoint.weight, rel=0.15)


@pytest.mark.parametrize("strategy", KINDS)
def test_calls_without_a_key_are_spread(strategy):
    made = world(strategy, fleet(1, 1, 1, 1))
    assert all(abs(count - 2500) <= 500 for count in made.picks(10_000).values())


@pytest.mark.parametrize("strategy", KINDS)
def test_a_retry_goes_to_another_endpoint_and_the_same_for_all(strategy):
    made = world(strategy, fleet(*[1] * 10))
    second = []
    for _ in range(20):
        call = made.call(headers={"x-key": "somebody"})
        call.now, call.tried = made.now, (picked(made, "somebody"),)
        second.append(made.service.picker.pick(call))
    assert len(set(second)) == 1
    assert second[0] is not picked(made, "somebody")


@pytest.mark.parametrize("strategy", KINDS)
def test_keys_of_an_endpoint_that_has_just_become_unavailable_move_together_and_come_back(strategy):
    made = world(strategy, fleet(*[1] * 10))
    home = picked(made, "somebody")
    home.availability.bar(Bar.HELD)
    assert len({picked(made, "somebody") for _ in range(20)} - {home}) == 1
    home.availability.lift(Bar.HELD)
    assert picked(made, "somebody") is home


@pytest.mark.parametrize("strategy", KINDS)
def test_when_everything_was_tried_something_is_picked(strategy):
    made = world(strategy, fleet(1, 1))
    call = made.call(headers={"x-key": "somebody"})
    call.now, call.tried = made.now, made.endpoints
    assert made.service.picker.pick(call) in made.endpoints


def test_more_weight_than_marks_leaves_an_endpoint_without_any():
    made = world({"ring_hash": {"key": KEY, "minimum_ring_size": 2, "maximum_ring_size": 2}}, fleet(1, 1, 1))
    assert len(set(picks(made))) == 2


@pytest.mark.parametrize("strategy", KINDS)
@pytest.mark.parametrize("options", [{}, {"key": KEY}, {"key": "path", "hash_balance_factor": 125}])
def test_fit_for_use(strategy, options):
    check_strategy({strategy: options})


@pytest.mark.parametrize(
    ("strategy", "options", "complaint"),
    [
        ("ring_hash", {"minimum_ring_size": 0}, "minimum_ring_size must be a whole number from 1 to 8388608, not 0"),
        ("ring_hash", {"maximum_ring_size": 1e3}, "maximum_ring_size must be a whole number"),
        ("ring_hash", {"maximum_ring_size": 8}, "minimum_ring_size must be at most maximum_ring_size \\(8\\)"),
        ("ring_hash", {"hash_balance_factor": 99}, "hash_balance_factor must be a number of at least 100, or None"),
        ("maglev", {"hash_balance_factor": float("nan")}, "hash_balance_factor must be a number"),
        ("maglev", {"hash_balance_factor": 0}, "hash_balance_factor must be a number"),
        ("maglev", {"hash_balance_factor": "125"}, "hash_balance_factor must be a number"),
        ("maglev", {"table_size": 65_536}, "table_size must be a prime from 2 to 5000011, not 65536"),
        ("maglev", {"table_size": True}, "table_size must be a prime"),
        ("maglev", {"key": "header"}, "key must be 'path'"),
    ],
)
def test_bad_options_are_refused(strategy, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        World(2, strategy={strategy: options})


@pytest.mark.parametrize("strategy", KINDS)
def test_without_xxhash_the_error_names_the_extra(strategy, monkeypatch):
    monkeypatch.setitem(sys.modules, "xxhash", None)
    with pytest.raises(ValueError, match=r'pip install "meshware\[hash\]"'):
        World(2, strategy=strategy)
