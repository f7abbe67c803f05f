"""Meters: what they remember of one endpoint, for how long, and what the fleet says where they know nothing."""

from __future__ import annotations

from math import exp

import pytest

from meshware.balancing.meters import FailureRate, Latency, PeakResponseTime, ResponseTime
from meshware.core.outcome import Cause, LoadReport, Outcome

ANSWER = Outcome(elapsed=0.1, status=200)


def readings(meter, count=1):
    """So many endpoints of one fleet."""
    fleet = meter.fleet()
    return [meter.reading(fleet) for _ in range(count)]


def test_a_peak_is_taken_at_once_and_forgotten_slowly():
    (peak,) = readings(PeakResponseTime(10.0))
    assert peak.value(0.0) == 0.0
    peak.sample(0.1, False, ANSWER, 0.0)
    peak.sample(1.0, False, ANSWER, 1.0)
    assert peak.value(1.0) == 1.0
    peak.sample(0.1, False, ANSWER, 11.0)
    assert peak.value(11.0) == pytest.approx(1 / 2.718, rel=0.01)
    assert peak.value(100.0) < 0.001
    peak.reset()
    assert peak.value(11.0) == 0.0


def test_a_mean_is_shrunk_to_the_fleet_by_two_samples():
    own, other = readings(ResponseTime(5.0), 2)
    own.sample(1.0, False, ANSWER, 0.0)
    other.sample(0.4, False, ANSWER, 0.0)
    assert own.fleet.value(0.0) == pytest.approx(0.7)
    assert own.value(0.0) == pytest.approx((1.0 + 2 * 0.7) / 3)
    assert other.value(0.0) == pytest.approx((0.4 + 2 * 0.7) / 3)


def test_a_mean_weighs_the_recent_more():
    (mean,) = readings(ResponseTime(5.0))
    mean.sample(1.0, False, ANSWER, 0.0)
    mean.sample(0.0, False, ANSWER, 5.0)
    kept = exp(-1.0)
    assert mean.fleet.value(5.0) == pytest.approx(kept / (kept + 1))


def test_an_endpoint_that_nothing_is_known_of_is_average():
    known, unknown = readings(ResponseTime(5.0), 2)
    assert unknown.value(0.0) == 0.0
    known.sample(0.3, False, ANSWER, 0.0)
    assert unknown.value(0.0) == pytest.approx(0.3)


def test_an_endpoint_that_is_not_asked_becomes_average_again():
    bad, usual = readings(ResponseTime(5.0), 2)
    bad.sample(5.0, True, ANSWER, 0.0)
    for second in range(60):
        usual.sample(0.1, False, ANSWER, float(second))
    assert bad.value(0.0) > 1.0
    assert bad.value(60.0) == pytest.approx(0.1, rel=0.01)


def test_an_endpoint_that_is_new_again_is_average():
    own, other = readings(ResponseTime(5.0), 2)
    own.sample(1.0, False, ANSWER, 0.0)
    other.sample(0.2, False, ANSWER, 0.0)
    own.reset()
    assert own.value(0.0) == own.fleet.value(0.0) > 0


def test_without_a_window_all_weigh_alike_and_nothing_is_shrunk():
    own, unknown, other = readings(ResponseTime(None), 3)
    own.sample(1.0, False, ANSWER, 0.0)
    own.sample(0.5, False, ANSWER, 1e6)
    other.sample(0.3, False, ANSWER, 1e6)
    assert own.value(2e6) == 0.75
    assert unknown.value(2e6) == pytest.approx(0.6)


def test_a_time_that_runs_backwards_makes_nothing_weigh_more_than_it_did():
    (mean,) = readings(ResponseTime(5.0))
    mean.sample(1.0, False, ANSWER, 1000.0)
    mean.sample(1.0, False, ANSWER, 0.0)
    assert mean.value(0.0) == pytest.approx(1.0)


def test_a_failure_rate_is_the_share_of_failures():
    (rate,) = readings(FailureRate(None))
    for failed in (True, False, False, False):
        rate.sample(0.1, failed, ANSWER, 0.0)
    assert rate.value(0.0) == 0.25


def test_what_lost_to_a_hedge_is_neither_success_nor_failure():
    (rate,) = readings(FailureRate(None))
    rate.sample(0.1, True, ANSWER, 0.0)
    rate.sample(0.1, False, Outcome(elapsed=0.1, cause=Cause.CUT), 0.0)
    assert rate.value(0.0) == 1.0


# Latency


@pytest.mark.parametrize(
    ("facts", "seconds"),
    [
        ({"elapsed": 0.3}, 0.3),
        ({"elapsed": 0.3, "connect": 0.1, "first_byte": 0.15}, 0.25),
        ({"elapsed": 0.3, "first_byte": 0.2, "report": LoadReport(0.5, service_time=0.12)}, 0.08),
        ({"elapsed": 0.3, "report": LoadReport(0.5)}, 0.3),
        ({"elapsed": 0.3, "report": LoadReport(0.5, service_time=9.0)}, 0.3),
        ({"elapsed": 0.3, "report": LoadReport(0.5, service_time=-1.0)}, 0.3),
        ({"elapsed": 0.3, "report": LoadReport(0.5, service_time=float("nan"))}, 0.3),
    ],
    ids=["headers", "connect and first byte", "less service", "no service time", "too much", "negative", "nan"],
)
def test_latency_is_what_the_network_took(facts, seconds):
    (latency,) = readings(Latency(None))
    latency.sample(7.0, False, Outcome(status=200, **facts), 0.0)
    assert latency.value(0.0) == pytest.approx(seconds)


def test_a_failure_is_no_near_endpoint():
    (latency,) = readings(Latency(None))
    latency.sample(5.0, True, Outcome(elapsed=0.001, status=500), 0.0)
    latency.sample(1.0, False, Outcome(elapsed=1.0, cause=Cause.CUT), 0.0)
    assert latency.value(0.0) == 3.0


@pytest.mark.parametrize("meter", [PeakResponseTime, ResponseTime, FailureRate, Latency])
@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan"), True, "5"])
def test_a_time_constant_must_be_positive_and_finite(meter, seconds):
    with pytest.raises(ValueError, match="positive"):
        meter(seconds)


def test_equal_meters_are_one_key():
    assert PeakResponseTime(10.0) == PeakResponseTime(10.0)
    assert len({PeakResponseTime(10.0), PeakResponseTime(10.0), PeakResponseTime(5.0), ResponseTime(10.0)}) == 3
    assert len({ResponseTime(5.0), FailureRate(5.0), Latency(5.0), ResponseTime(None), ResponseTime()}) == 4
