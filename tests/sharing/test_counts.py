"""Counts of a worker's answers: each in its bucket, good and bad ones apart."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshware.sharing import counts
from meshware.sharing.answers import Heard
from meshware.sharing.counts import BUCKETS, Count, Counts, counted


@pytest.fixture
def add(tmp_path):
    """`add(*good, bad=..., cut=...)`: what is counted once these answers have come."""
    base = tmp_path / "board"
    mine = Counts(base, 0)

    def added(*good, **bad):
        mine.add(3, Heard(sorted(good), **bad))
        return counted(base, 3)

    return added


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.9e-6, 1e-6, 0.001, 0.3, 1.0, 500.0, 1100.0, 1e9])
def test_an_answer_is_counted_in_the_first_bucket_that_reaches_as_far(add, seconds):
    bucket = next(number for number, bound in enumerate(Count.bounds()) if seconds < bound)
    assert [number for number, count in enumerate(add(seconds).buckets) if count] == [bucket]


def test_good_bad_and_late_ones_are_counted_apart_and_go_on_from_what_was_there(add):
    add(0.01, 0.02, bad=[1.0], cut=1)
    now = add(0.01, bad=[0.01])
    assert (now.good, now.bad, now.late, sum(now.buckets)) == (3, 2, 1, 5)


@given(st.lists(st.one_of(st.floats(0.0), st.sampled_from(Count.bounds())), max_size=40))
def test_of_many_answers_each_is_in_its_bucket(seconds):
    """As counted one by one."""
    found = Counter()
    for bucket, count in counts._in_buckets(sorted(seconds)):
        assert count > 0
        found[bucket] += count
    alone = Counter(bucket for each in seconds for bucket, _ in counts._in_buckets([each]))
    assert found == alone


def test_the_last_bucket_has_no_end(add):
    assert len(Count.bounds()) == BUCKETS
    assert Count.bounds()[-1] == float("inf")
    assert add(1e6, 1e12).buckets[-1] == 2
