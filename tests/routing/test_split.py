"""Who goes where: by weight, and the same way again where a split is sticky."""

from __future__ import annotations

import random
from collections import Counter
from math import sqrt

import pytest

from meshware.context import RequestContext
from meshware.core.request import Request
from meshware.routing.split import Split, key_of

CALLS = 20_000


def request(**headers):
    return Request("GET", "inventory", "/", headers)


def split(key=None, **weights):
    return Split([(name, weight, name) for name, weight in weights.items()], key)


def homes(**weights):
    """Where each of so many users goes."""
    made = split(key_of("header", "user"), **weights)
    return [made.pick(request(user=f"user-{number}"), None, random.Random(1)) for number in range(CALLS)]


def moved(before, after):
    return sum(one != other for one, other in zip(before, after, strict=True)) / CALLS


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("weights", [{"v2": 10, "v1": 90}, {"a": 1, "b": 2, "c": 3, "d": 4}])
def test_calls_go_by_weight_within_four_standard_deviations(weights, sticky):
    rng, made = random.Random(1), split(**weights)
    seen = Counter(homes(**weights) if sticky else (made.pick(request(), None, rng) for _ in range(CALLS)))
    total = sum(weights.values())
    for name, weight in weights.items():
        share = weight / total
        assert abs(seen[name] - CALLS * share) < 4 * sqrt(CALLS * share * (1 - share))


@pytest.mark.untraced
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"v2": 10, "v1": 90}, {"v2": 15, "v1": 85}),
        ({"v1": 90, "v2": 10}, {"v1": 85, "v2": 15}),
        ({"v2": 95, "v1": 5}, {"v2": 100, "v1": 0}),
        ({"v2": 10, "v3": 5, "v1": 85}, {"v2": 15, "v3": 5, "v1": 80}),
        ({"v3": 5, "v2": 10, "v1": 85}, {"v3": 5, "v2": 15, "v1": 80}),
        ({"a": 20, "b": 30, "v1": 50}, {"a": 25, "b": 30, "v1": 45}),
        ({"a": 20, "b": 30, "v1": 50}, {"a": 20, "b": 35, "v1": 45}),
        ({"a": 0, "b": 30, "v1": 70}, {"a": 5, "b": 30, "v1": 65}),
        ({"a": 10, "b": 10, "c": 5, "v1": 75}, {"a": 15, "b": 10, "c": 5, "v1": 70}),
        ({"a": 10, "b": 10, "c": 5, "v1": 75}, {"a": 10, "b": 10, "c": 10, "v1": 70}),
    ],
)
def test_a_weight_that_grows_by_five_points_moves_six_percent_of_the_users_at_most(before, after):
    assert 0.04 < moved(homes(**before), homes(**after)) <= 0.06


def test_whoever_was_in_a_growing_canary_stays_there():
    small, large = homes(v2=10, v1=90), homes(v2=30, v1=70)
    assert all(after == "v2" for before, after in zip(small, large, strict=True) if before == "v2")


def test_who_has_no_key_is_drawn_each_time():
    made, rng = split(key_of("cookie", "user"), v2=50, v1=50), random.Random(1)
    for each in (request(), request(cookie="other=1"), request(cookie="user=")):
        assert {made.pick(each, None, rng) for _ in range(50)} == {"v1", "v2"}


def test_a_key_is_the_same_wherever_it_is_found():
    context = RequestContext()
    context.attributes["user"] = 42
    found = [
        key_of("header", "x-user")(request(**{"x-user": "42"}), None),
        key_of("cookie", "user")(request(cookie='a=1; user="42"; b=2'), None),
        key_of("attribute", "user")(request(), context),
    ]
    assert found == ["42", "42", "42"]
    assert key_of("attribute", "plan")(request(), context) is None
    assert key_of("attribute", "user")(request(), None) is None
