"""Drawing candidates: distinct, uniform or by weight, and never a list of the fleet."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice

import pytest

from meshware.balancing.draw import by_weight, evenly, several, two
from meshware.core.endpoint import Endpoint


def fleet(*weights):
    return [Endpoint(f"10.0.{number}.1:80", weight=weight) for number, weight in enumerate(weights)]


def drawn_by(draw, calls, *, rng=None):
    """How often each endpoint was drawn in so many calls, by its number."""
    rng, seen = rng or random.Random(1), Counter()
    for _ in range(calls):
        seen.update(int(each.address.split(".")[2]) for each in draw(rng))
    return seen


@pytest.mark.parametrize("count", [2, 3, 10])
def test_two_are_distinct_and_every_pair_is_as_likely(count):
    rng = random.Random(1)
    pairs = Counter(two(count, rng) for _ in range(20_000))
    assert all(first != second for first, second in pairs)
    assert len(pairs) == count * (count - 1)
    expected = 20_000 / len(pairs)
    assert all(abs(seen - expected) < 6 * expected**0.5 for seen in pairs.values())


def test_several_are_distinct_and_each_is_as_likely():
    rng, seen = random.Random(1), Counter()
    for _ in range(10_000):
        drawn = several(range(20), 4, rng)
        assert len(set(drawn)) == 4
        seen.update(drawn)
    assert all(abs(count - 2000) < 250 for count in seen.values())


def test_of_a_few_all_are_drawn():
    assert several((1, 2, 3), 4, random.Random(1)) == (1, 2, 3)


@pytest.mark.parametrize("count", [5, 6, 7, 20, 41])
def test_an_even_draw_is_of_distinct_endpoints_each_as_likely(count):
    draw, rng = evenly(fleet(*[1.0] * count), 4), random.Random(1)
    assert all(len({*draw(rng)}) == 4 for _ in range(1000))
    expected = 40_000 / count
    seen = drawn_by(draw, 10_000)
    assert len(seen) == count
    assert all(abs(times - expected) < 6 * expected**0.5 for times in seen.values())


def test_in_an_even_draw_every_two_may_meet():
    draw, rng = evenly(fleet(*[1.0] * 6), 2), random.Random(1)
    pairs = Counter(frozenset(draw(rng)) for _ in range(10_000))
    assert len(pairs) == 15
    assert min(pairs.values()) > 300


@pytest.mark.parametrize("count", [1, 2, 4])
def test_of_no_more_than_its_choices_an_even_draw_is_all(count):
    draw, endpoints = evenly(fleet(*[1.0] * count), 4), count
    assert all(len({*draw(random.Random(seed))}) == endpoints for seed in range(50))


def test_a_draw_by_weight_is_in_proportion():
    seen = drawn_by(by_weight(fleet(1.0, 2.0, 5.0), 4), 10_000)
    assert [seen[number] for number in range(3)] == pytest.approx([5_000, 10_000, 25_000], rel=0.03)


def test_a_draw_by_equal_weights_is_even():
    draw = by_weight(fleet(*[3.0] * 6), 4)
    assert all(len({*draw(random.Random(seed))}) == 4 for seed in range(50))


def test_a_draw_asks_for_no_more_than_is_taken():
    class Counting(random.Random):
        asked = 0

        def random(self):
            self.asked += 1
            return super().random()

    rng = Counting(1)
    list(islice(evenly(fleet(*[1.0] * 1000), 4)(rng), 4))
    assert rng.asked == 5
