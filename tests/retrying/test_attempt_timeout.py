"""How long an attempt may wait while another could follow."""

from __future__ import annotations

import pytest

from meshware.core.operations import Operation
from meshware.retrying.attempt_timeout import AttemptTimeout, NoAttemptTimeout


def operation(seconds, samples=20):
    made = Operation("GET /items")
    for _ in range(samples):
        made.record(seconds, 0.0)
    return made


def limit(timeout, known, *, remaining=10.0, left=2):
    return timeout.limit(known, remaining=remaining, left=left, now=0.0)


def test_it_is_three_times_the_operations_p95():
    assert limit(AttemptTimeout(), operation(0.2)) == pytest.approx(0.6, rel=0.1)


def test_it_is_never_under_a_tenth_of_a_second():
    assert limit(AttemptTimeout(), operation(0.001)) == 0.1


def test_there_is_none_before_twenty_samples():
    assert limit(AttemptTimeout(), operation(0.2, samples=19)) is None


def test_it_leaves_their_share_to_the_attempts_that_may_follow():
    assert limit(AttemptTimeout(), operation(2.0), remaining=3.0, left=2) == 1.5


def test_a_fixed_one_needs_no_samples():
    assert limit(AttemptTimeout(0.5), operation(0.2, samples=0)) == 0.5
    assert limit(AttemptTimeout(5.0), operation(0.2, samples=0), remaining=3.0, left=3) == 1.0


def test_switched_off_there_is_none():
    assert limit(NoAttemptTimeout(), operation(0.2)) is None
