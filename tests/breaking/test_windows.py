"""Rate windows: what happened in the last seconds, in ten buckets."""

from __future__ import annotations

from meshware.breaking.windows import RateWindow


def test_it_counts_what_happened_within_its_seconds():
    window = RateWindow(10.0)
    for second in range(20):
        window.success(100.0 + second)
        window.failure(100.0 + second)
    assert window.totals(119.0) == (10, 10)
    assert window.totals(124.5) == (5, 5)
    assert window.totals(200.0) == (0, 0)


def test_a_time_from_before_goes_into_the_latest_bucket():
    window = RateWindow(10.0)
    window.success(105.0)
    window.failure(103.0)
    assert window.totals(105.0) == (1, 1)


def test_a_success_can_be_taken_back():
    window = RateWindow(10.0)
    window.success(100.0)
    window.take_back(105.0)
    assert window.totals(105.0) == (0, 1)
    window.take_back(105.0)  # nothing left to take back: still a failure
    assert window.totals(105.0) == (0, 2)


def test_it_can_forget():
    window = RateWindow(10.0)
    window.success(100.0)
    window.clear()
    assert window.totals(100.0) == (0, 0)


def test_what_others_heard_counts_from_when_it_is_told():
    window = RateWindow(10)
    window.add(3, 1, 1000.0)
    window.add(2, 0, 1000.5)
    assert window.totals(1000.5) == (5, 1)
    assert window.totals(1020.0) == (0, 0)
