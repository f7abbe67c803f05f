"""The last calls of a step: so many, whoever told of them."""

from __future__ import annotations

from meshware.routing.recent import Counts, Recent


def calls(count, failed=0):
    return Counts(count, failed, count, 0)


def test_of_single_calls_the_last_hundred_count():
    recent = Recent(100)
    for _ in range(10):
        recent.add(calls(1, 1))
    for _ in range(95):
        recent.add(calls(1))
    assert recent.sum == calls(100, 5)


def test_of_many_at_once_all_count_until_there_are_enough_later_ones():
    recent = Recent(100)
    recent.add(calls(1, 1))
    recent.add(calls(3000, 30))
    assert recent.sum == calls(3000, 30)
    recent.add(calls(99))
    assert recent.sum == calls(3099, 30)
    recent.add(calls(1))
    assert recent.sum == calls(100)


def test_after_a_clearing_there_are_none():
    recent = Recent(100)
    recent.add(calls(5, 5))
    recent.clear()
    assert recent.sum == calls(0)
    recent.add(calls(1))
    assert recent.sum == calls(1)
