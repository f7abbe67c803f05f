"""Outliers: whose success rate stands out from its fleet's, by Envoy's rule and with a floor under it."""

from __future__ import annotations

import pytest
from breaking.test_ejection import EJECTED, Fleet

from meshware.breaking.outliers import OutlierOptions, outliers
from meshware.core.endpoint import Endpoint


def fleet_of(*answers):
    return [(Endpoint(f"10.0.0.{number}:80"), good, bad) for number, (good, bad) in enumerate(answers)]


def found(*answers, **options):
    return [each.endpoint.host[-1] for each in outliers(fleet_of(*answers), OutlierOptions(**options))]


def test_a_rate_far_below_the_mean_of_all_stands_out():
    (one,) = outliers(fleet_of((90, 10), *[(100, 0)] * 5), OutlierOptions())
    assert one.endpoint.address == "10.0.0.0:80"
    assert one.reason == "90.0% succeeded, of the fleet 98.3%"


def test_the_threshold_is_mean_less_k_standard_deviations():
    answers = [(80, 20), (85, 15), (95, 5), (95, 5), (100, 0), (100, 0)]  # mean 92.5 %, deviation 7.5 %
    assert found(*answers, stdev=1.66) == ["0"]
    assert found(*answers, stdev=1.67) == []
    assert found(*answers, stdev=0.99) == ["0", "1"]


def test_the_worst_comes_first():
    assert found((85, 15), (80, 20), *[(100, 0)] * 10, stdev=1.0) == ["1", "0"]


def test_fewer_endpoints_than_needed_are_not_compared():
    assert found((90, 10), *[(100, 0)] * 4) == ["0"]
    assert found((90, 10), *[(100, 0)] * 3) == []


def test_endpoints_with_too_few_requests_are_left_out_of_the_comparison():
    assert found((90, 9), *[(100, 0)] * 5) == []
    assert found((90, 10), *[(100, 0)] * 3, (99, 0)) == []


@pytest.mark.parametrize("good", [98, 99, 997])
def test_one_or_two_failures_are_no_outlier_however_good_the_others_are(good):
    assert found((good, 2), *[(1000, 0)] * 50) == []


def test_all_alike_are_no_outliers():
    assert found(*[(90, 10)] * 8) == []
    assert found(*[(0, 100)] * 8) == []


# Within ejection

ON = {"consecutive": 1000, "success_rate": 0.0, "outliers": {"minimum": 10}}


def stands_out(**ejection):
    fleet = Fleet(5, ejection={**ON, **ejection})
    for each in fleet.endpoints:
        fleet.answers(each, 200, 10)
    fleet.answers(fleet.endpoints[0], 500, 3)
    return fleet


def test_an_outlier_is_ejected_at_the_next_review():
    fleet = stands_out()
    assert fleet.out() == []
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == [fleet.endpoints[0].address]
    assert fleet.of(EJECTED)[0].reason == "76.9% succeeded, of the fleet 95.4%"


def test_nobody_is_compared_unless_that_is_set():
    fleet = stands_out(outliers=None)
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == []
    fleet = stands_out(enabled=False)
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == []


def test_reviews_are_a_second_apart():
    fleet = stands_out()
    fleet.service.ejection._reviewed = fleet.now + 0.5
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == []
    fleet.service.ejection.review(fleet.now + 0.5)
    assert len(fleet.out()) == 1


def test_under_the_guard_nobody_stands_out():
    fleet = stands_out()
    fleet.service.guard.on = True
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == []


def test_outliers_are_under_the_cap_for_answers():
    fleet = stands_out(max_share=0.1)
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == [], "a tenth of five, rounded down"


def test_who_is_out_already_is_not_compared():
    fleet = stands_out()
    fleet.service.ejection.review(fleet.now)
    fleet.now += 1.0
    fleet.service.ejection.review(fleet.now)
    assert len(fleet.of(EJECTED)) == 1
