"""What has waited too long before it came: only while all wait, and never because two clocks differ."""

from __future__ import annotations

import pytest

from meshware.core.criticality import Criticality
from meshware.limiting.queue_age import QueueAge, QueueOptions

CRITICAL, DEFAULT, SHEDDABLE = Criticality


def queue(*, base=0.0, now=0.0):
    """One that has seen a request without a wait."""
    made = QueueAge(QueueOptions(target=0.02, interval=0.1))
    made.refuses(base, DEFAULT, now)
    return made


def share_refused(made, waits, *, criticality=DEFAULT, start=0.0, every=0.005):
    refused = [made.refuses(each, criticality, start + number * every) for number, each in enumerate(waits)]
    return sum(refused) / len(refused)


def test_short_waits_are_no_harm():
    assert share_refused(queue(), [0.019] * 1000) == 0.0


def test_a_burst_is_no_harm_where_one_in_each_interval_has_not_waited():
    assert share_refused(queue(), [0.0 if n % 10 == 0 else 5.0 for n in range(1000)]) == 0.0


def test_a_queue_that_stays_is_cut_but_for_one_in_each_interval():
    assert share_refused(queue(), [0.5] * 1000) == pytest.approx(0.95, abs=0.06)


@pytest.mark.parametrize(
    ("wait", "refused"), [(0.03, {SHEDDABLE}), (0.06, {SHEDDABLE, DEFAULT}), (0.2, set(Criticality))]
)
def test_the_sheddable_may_wait_least_and_the_critical_longest(wait, refused):
    made = queue()
    share_refused(made, [wait] * 100)
    made.refuses(wait, DEFAULT, 0.6)
    assert {each for each in Criticality if made.refuses(wait, each, 0.61)} == refused


def test_it_is_over_as_soon_as_one_interval_was_good():
    made = queue()
    share_refused(made, [0.5] * 100)
    assert share_refused(made, [0.0] * 50, start=0.6) == 0.0
    assert not made.standing


@pytest.mark.parametrize("skew", [-3600.0, -0.2, 0.2, 3600.0])
def test_clocks_that_differ_refuse_nobody(skew):
    assert share_refused(queue(base=skew), [skew + 0.001] * 5000) == 0.0


def test_a_clock_that_was_set_is_believed_after_ten_minutes():
    made = queue()
    share_refused(made, [5.0] * 1300, every=0.5)
    assert share_refused(made, [5.0] * 100, start=700.0) == 0.0


def test_a_pause_is_no_queue():
    made = queue()
    made.refuses(0.5, DEFAULT, 0.05)
    assert not made.refuses(0.5, DEFAULT, 30.0)


def test_the_least_wait_counts_as_none_as_soon_as_it_is_seen():
    made = queue(base=5.0)
    made.refuses(4.0, DEFAULT, 0.2)
    assert share_refused(made, [4.5] * 200, start=0.3) > 0.8
