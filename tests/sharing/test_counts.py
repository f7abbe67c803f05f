"""Counts of a worker's answers: each in its bucket, good and bad ones apart."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshware.sharing import counts
from meshware.sharing.counts import BUCKETS, Count, Counts, counted


@pytest.fixture
def add(tmp_path):
    """`add(*answers)`: what is counted once these have come."""
    base = tmp_path / "board"
    mine = Counts(base, 0)

    def added(*answers):
        mine.add(3, answers)
        return counted(base, 3)

    return added


def good(seconds):
    return seconds, 1.0, False, False, False


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.9e-6, 1e-6, 0.001, 0.3, 1.0, 500.0, 1100.0, 1e9])
def test_an_answer_is_counted_in_the_first_bucket_that_reaches_as_far(add, seconds):
    bucket = next(number for number, bound in enumerate(Count.bounds()) if seconds < bound)
    assert [number for number, count in enumerate(add(good(seconds)).buckets) if count] == [bucket]


def test_good_bad_and_late_ones_are_counted_apart_and_go_on_from_what_was_there(add):
    add(good(0.01), good(0.02), (1.0, 0.0, True, True, False))
    now = add((0.01, 0.0, True, False, False), good(0.01))
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
    assert add(good(1e6), good(1e12)).buckets[-1] == 2
