"""What the callers saw."""

from __future__ import annotations

import pytest

from meshware.testing.simulation import Tally


def test_a_lost_call_and_a_late_one_count_as_the_deadline():
    tally = Tally(begin=0.0, deadline=1.0)
    tally.done(0.0, 0.25, good=True)
    tally.done(0.0, 0.01, good=False)
    tally.done(0.0, 0.01, good=False, refused=True)
    tally.done(0.0, 3.0, good=True)
    assert sorted(tally.times) == [0.25, 1.0, 1.0, 1.0]
    assert (tally.lost, tally.refused, tally.lost_share) == (3, 1, 0.75)
    assert tally.mean == pytest.approx(0.8125)


def test_what_arrives_before_the_beginning_is_in_the_timeline_only():
    tally = Tally(begin=2.0, deadline=1.0)
    tally.asked("a", 1.0)
    tally.done(1.0, 1.5, good=True)
    tally.asked("a", 2.0)
    tally.asked("b", 2.5)
    tally.done(2.0, 2.5, good=True)
    assert (list(tally.times), tally.attempts) == ([0.5], {"a": 1, "b": 1})
    assert (tally.share("a"), tally.share("none")) == (0.5, 0.0)
    assert tally.slice(1.0).asked == {"a": 1}


def test_a_quantile_is_what_so_many_stayed_under():
    tally = Tally(begin=0.0, deadline=1000.0)
    for number in range(1000):
        tally.done(0.0, float(number), good=True)
    assert [tally.quantile(share) for share in (0.0, 0.5, 0.99, 0.999, 1.0)] == [0.0, 500.0, 990.0, 999.0, 999.0]


def test_nothing_at_all_is_no_error():
    tally = Tally(begin=0.0, deadline=1.0)
    assert (tally.quantile(0.99), tally.mean, tally.lost_share, tally.share("a")) == (0.0, 0.0, 0.0, 0.0)
    assert tally.good_between(0.0, 9.0) == 1.0


def test_the_good_ones_of_a_time_are_those_that_arrived_in_it():
    tally = Tally(begin=0.0, deadline=1.0)
    for at, good in [(0.5, False), (1.5, True), (1.6, False), (2.5, False)]:
        tally.done(at, at + 0.9, good=good)
    assert tally.good_between(1.0, 2.0) == 0.5
    assert tally.good_between(0.0, 3.0) == 0.25
