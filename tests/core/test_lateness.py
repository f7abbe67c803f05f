"""Lateness: how long we stood still ourselves, told by beats that came late."""

from __future__ import annotations

import pytest

from meshware.core.lateness import PUNCTUAL, REMEMBERED, TOLERATED, Lateness

LONG_AGO = -1e9


def beaten(*beats):
    """Beats that were due, and came, at these times."""
    lateness = Lateness()
    for due, came in beats:
        lateness.expect(due)
        lateness.beat(came)
    return lateness


def test_who_is_not_watched_never_stood_still():
    assert PUNCTUAL.since(LONG_AGO, 1e9) == 0.0


def test_beats_in_time_or_nearly_so_say_nothing():
    assert beaten((1.0, 1.0), (2.0, 2.0 + TOLERATED), (3.0, 2.9)).since(LONG_AGO, 9.0) == 0.0


def test_a_late_beat_tells_from_when_it_was_due_until_it_came():
    lateness = beaten((1.0, 3.0))
    assert lateness.since(0.0, 9.0) == pytest.approx(2.0)
    assert lateness.since(2.5, 9.0) == pytest.approx(0.5)
    assert lateness.since(3.0, 9.0) == 0.0


def test_standstills_add_up():
    assert beaten((1.0, 2.0), (5.0, 5.5), (7.0, 7.0)).since(1.5, 9.0) == pytest.approx(1.0)


def test_a_beat_that_has_not_come_yet_tells_already():
    lateness = beaten((1.0, 1.0))
    lateness.expect(2.0)
    assert lateness.since(0.0, 2.0 + TOLERATED) == 0.0
    assert lateness.since(0.0, 3.0) == pytest.approx(1.0)
    assert lateness.since(2.5, 3.0) == pytest.approx(0.5)


def test_while_no_beat_is_due_nothing_is_late():
    assert beaten((1.0, 1.0)).since(0.0, 100.0) == 0.0


def test_only_the_last_standstills_are_remembered():
    lateness = beaten(*((float(number), number + 0.5) for number in range(2 * REMEMBERED)))
    assert lateness.since(LONG_AGO, 1e9) == pytest.approx(REMEMBERED / 2)
