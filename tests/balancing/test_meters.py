"""Meters: what they remember of one endpoint, and for how long."""

from __future__ import annotations

import pytest

from meshware.balancing.meters import FailureRate, PeakResponseTime, ResponseTime
from meshware.core.outcome import Outcome

ANSWER = Outcome(elapsed=0.1, status=200)


def test_a_peak_is_taken_at_once_and_forgotten_slowly():
    peak = PeakResponseTime(10.0).reading(None)
    assert peak.value(0.0) == 0.0
    peak.sample(0.1, False, ANSWER, 0.0)
    peak.sample(1.0, False, ANSWER, 1.0)
    assert peak.value(1.0) == 1.0
    peak.sample(0.1, False, ANSWER, 11.0)
    assert peak.value(11.0) == pytest.approx(1 / 2.718, rel=0.01)
    assert peak.value(100.0) < 0.001
    peak.reset()
    assert peak.value(11.0) == 0.0


def test_a_mean_weighs_the_recent_more():
    mean = ResponseTime(10.0).reading(None)
    assert mean.value(0.0) == 0.0
    mean.sample(1.0, False, ANSWER, 0.0)
    mean.sample(0.0, False, ANSWER, 0.0)
    assert mean.value(0.0) == 0.5
    mean.sample(0.2, False, ANSWER, 100.0)
    assert mean.value(100.0) == pytest.approx(0.2, rel=0.01)
    mean.reset()
    assert mean.value(100.0) == 0.0


def test_a_failure_rate_is_the_share_of_failures():
    rate = FailureRate(5.0).reading(None)
    for failed in (True, False, False, False):
        rate.sample(0.1, failed, ANSWER, 0.0)
    assert rate.value(0.0) == 0.25


@pytest.mark.parametrize("meter", [PeakResponseTime, ResponseTime, FailureRate])
@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
def test_a_time_constant_must_be_positive_and_finite(meter, seconds):
    with pytest.raises(ValueError, match="positive"):
        meter(seconds)


def test_equal_meters_are_one_key():
    assert PeakResponseTime(10.0) == PeakResponseTime(10.0)
    assert len({PeakResponseTime(10.0), PeakResponseTime(10.0), PeakResponseTime(5.0), ResponseTime(10.0)}) == 3
