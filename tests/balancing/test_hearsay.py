"""What endpoints say of themselves, as the default strategy takes it: a beginning, with a limit to what it does."""

from __future__ import annotations

import random
from math import exp, inf

import pytest
from security.orca_headers import headers

from meshware.balancing.expected_cost import ASKING, ExpectedCost
from meshware.balancing.hearsay import DREAD, LEAN
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import LoadReport, Outcome
from meshware.security.orca import read_report

LEAST, MOST = exp(-LEAN) * 0.9999, exp(LEAN) * (1 + DREAD) * 1.0001


def costs_of(count):
    """The readings of so many endpoints of one service."""
    meter, fleet = ExpectedCost(), {}
    endpoints = [Endpoint(f"10.0.0.{number}:80") for number in range(1, count + 1)]
    for endpoint in endpoints:
        endpoint.fleet = fleet
    return list(meter.seated(endpoints).costs)


def answered(cost, now, *, seconds=0.1, report=None, failed=False):
    status = 500 if failed else 200
    cost.sample(5.0 if failed else seconds, failed, Outcome(elapsed=seconds, status=status, report=report), now)


def idle(cost, now):
    return cost.renew(now) + cost.price


def reporting(times, *, answers=1, eps=0.0):
    """One endpoint for each service time, all of which answer alike."""
    costs = costs_of(len(times))
    for _ in range(answers):
        for cost, seconds in zip(costs, times, strict=True):
            answered(cost, 0.0, report=LoadReport(0.5, rps=10.0, eps=eps, service_time=seconds))
    return costs


def test_who_says_that_he_is_slow_is_dearer_from_the_beginning():
    fast, slow, other = reporting([0.1, 0.16, 0.1])
    assert idle(fast, 0.0) == pytest.approx(0.1, rel=0.1)
    assert idle(slow, 0.0) / idle(other, 0.0) == pytest.approx(1.5, rel=0.15)


def test_times_that_are_nearly_alike_are_alike():
    one, other = reporting([0.1, 0.12])
    assert idle(one, 0.0) == idle(other, 0.0)


def test_it_says_nothing_where_all_say_the_same():
    costs = reporting([7.0, 7.0, 7.0])
    assert [idle(cost, 0.0) for cost in costs] == [pytest.approx(0.1)] * len(costs)


def test_ten_times_as_slow_is_believed_to_be_twice_as_slow():
    costs = reporting([0.1] * 9 + [1.0])
    assert idle(costs[-1], 0.0) / idle(costs[0], 0.0) == pytest.approx(exp(LEAN))


def test_what_we_have_seen_counts_for_more():
    costs = reporting([0.1] * 9 + [1.0])
    for turn in range(30):
        for cost in costs:
            answered(cost, turn / 100)
    assert idle(costs[-1], 0.3) / idle(costs[0], 0.3) < 1.2


def test_it_is_forgotten():
    costs = reporting([0.1] * 9 + [1.0])
    for cost in costs:
        cost._heard = 0.0
    assert idle(costs[-1], 20.0) / idle(costs[0], 20.0) == pytest.approx(exp(LEAN * exp(-2)))
    assert idle(costs[-1], 180.0) / idle(costs[0], 180.0) == pytest.approx(1.0)


def test_who_says_that_he_fails_is_left_alone_before_he_has_failed_here():
    *others, failing = costs_of(10)
    for cost in others:
        answered(cost, 0.0, report=LoadReport(0.5, rps=10.0))
    answered(failing, 0.0, report=LoadReport(0.5, rps=10.0, eps=9.0))
    assert idle(failing, 0.0) == pytest.approx(idle(others[0], 0.0) * (1 + DREAD))


def test_where_all_fail_nobody_is_dearer():
    costs = reporting([0.1] * 5, eps=8.0)
    assert [idle(cost, 0.0) for cost in costs] == [pytest.approx(0.1)] * len(costs)


def test_the_fleet_guard_has_it_forgotten():
    costs = reporting([0.1] * 9 + [1.0])
    costs[-1].reset()
    assert costs[-1]._said is None


@pytest.mark.parametrize(
    "report",
    [
        LoadReport(None, service_time=9.0),  # of one answer only (Server-Timing)
        LoadReport(0.5, rps=1.0, eps=-1.0, service_time=9.0),
        LoadReport(0.5, rps=float("nan"), service_time=9.0),
        LoadReport(0.5, service_time=inf),
        LoadReport(0.5, service_time=0.0),
        LoadReport(0.5, eps=5.0),
    ],
)
def test_what_makes_no_sense_moves_nothing(report):
    costs = reporting([0.1] * 4)
    before = idle(costs[0], 0.0)
    costs[0].hear(report, 0.0)
    assert idle(costs[0], 0.0) == before


def test_endpoints_are_asked_once_a_second_only():
    (cost,) = costs_of(1)
    endpoint = cost.endpoint
    assert [endpoint.asks(now) for now in (5.0, 5.5, 5.0 + ASKING, 6.5)] == [True, False, True, False]


def test_nobody_is_asked_while_no_meter_reads_reports():
    assert not Endpoint("10.0.0.1:80").asks(1e9)


def moved(count):
    """Whatever is said, by an endpoint that answers as it likes: its cost beside what it would be without a word."""
    rng = random.Random(count)
    for number, header in enumerate(headers(rng, count)):
        if number % 500 == 0:  # another history, known to both
            costs, silent, now = costs_of(3), costs_of(3), 0.0
        report = read_report(header)
        place, seconds, failed = rng.randrange(3), rng.expovariate(10), rng.random() < 0.05
        now += rng.expovariate(20)
        answered(costs[place], now, seconds=seconds, report=report, failed=failed)
        answered(silent[place], now, seconds=seconds, failed=failed)
        for cost, other in zip(costs, silent, strict=True):
            yield idle(cost, now) / idle(other, now)


def test_no_report_moves_a_cost_beyond_the_cap():
    ratios = list(moved(10_000))
    assert LEAST <= min(ratios) < 0.9
    assert 1.5 < max(ratios) <= MOST


@pytest.mark.soak
def test_none_of_a_million_reports_moves_a_cost_beyond_the_cap():
    assert all(LEAST <= ratio <= MOST for ratio in moved(1_000_000))
