"""The limits a server learns: each by the formula it names."""

from __future__ import annotations

import random

import pytest

from meshware.limiting.concurrency import AimdLimit, FixedLimit, GradientLimit, LimitOptions


def test_a_fixed_limit_stays():
    limit = FixedLimit(LimitOptions(start=7))
    limit.good(100.0, 7, 0.0)
    limit.bad()
    assert limit.limit == 7


def test_aimd_goes_up_by_one_while_half_of_it_is_used():
    limit = AimdLimit(LimitOptions(start=20, least=1))
    limit.good(0.1, 9, 0.0)
    assert limit.limit == 20
    limit.good(0.1, 10, 0.0)
    assert limit.limit == 21


def test_aimd_goes_down_by_a_tenth_for_what_is_late_and_stays_in_its_bounds():
    limit = AimdLimit(LimitOptions(start=100, least=50, most=101))
    limit.good(5.1, 100, 0.0)
    assert limit.limit == 90
    for _ in range(50):
        limit.bad()
    assert limit.limit == 50
    for _ in range(200):
        limit.good(0.1, 100, 0.0)
    assert limit.limit == 101


def windows(limit, count, elapsed, *, in_flight=None, now=0.0):
    """So many windows of good answers."""
    for _ in range(count):
        for _ in range(21):
            limit.good(elapsed, int(limit.limit) if in_flight is None else in_flight, now)
            now += 0.06
    return now


def test_a_gradient_limit_grows_by_its_queue_while_nothing_waits():
    limit = GradientLimit(LimitOptions())
    windows(limit, 1, 0.1)
    assert limit.limit == pytest.approx(20 + 0.2 * 4)


def test_a_gradient_limit_that_does_not_hold_says_nothing():
    limit = GradientLimit(LimitOptions())
    windows(limit, 5, 0.1, in_flight=9)
    assert limit.limit == 20


def test_a_gradient_limit_falls_when_answers_take_longer_and_comes_back():
    limit = GradientLimit(LimitOptions(start=100))
    now = windows(limit, 20, 0.1)
    high = limit.limit
    now = windows(limit, 10, 0.5, now=now)
    low = limit.limit
    assert low < 0.5 * high
    windows(limit, 100, 0.1, now=now)
    assert limit.limit > 0.9 * high
    assert low >= 20


def test_a_gradient_limit_forgets_a_long_overload():
    limit = GradientLimit(LimitOptions(start=100))
    now = windows(limit, 200, 1.0)
    now = windows(limit, 60, 0.1, now=now)
    before = limit.limit
    windows(limit, 10, 0.6, now=now)
    assert limit.limit < before


def test_few_answers_or_errors_move_no_gradient_limit():
    limit = GradientLimit(LimitOptions())
    for number in range(9):
        limit.good(0.1, 20, float(number))
    limit.bad()
    assert limit.limit == 20
    limit.good(0.0, 20, 9.0)


def test_answers_in_no_time_move_it_up_only():
    limit = GradientLimit(LimitOptions())
    windows(limit, 1, 0.0)
    assert limit.limit > 20


def test_in_a_queue_model_a_gradient_limit_holds_the_wait_small():
    """A server of 10 slots of 50 ms that is offered twice of what it can do."""
    rng, limit, now = random.Random(3), GradientLimit(LimitOptions(start=20, least=5)), 0.0
    for _ in range(300):
        at_once = int(limit.limit)
        took = 0.05 * max(1.0, at_once / 10)
        for _ in range(20):
            limit.good(took * rng.uniform(0.9, 1.1), at_once, now)
            now += 1.1 / 20
    assert limit.limit < 100
