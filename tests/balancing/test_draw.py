"""Drawing candidates: distinct, uniform, and never a list of the fleet."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from meshware.balancing.draw import several, two


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
