"""Availability: who may be picked, for how long not, and what people are told."""

from __future__ import annotations

import pytest

from meshware.core.availability import Availability, Bar


def test_an_endpoint_without_a_bar_is_available():
    assert Availability().available(0.0)
    assert Availability().state() == "available"


def test_a_bar_holds_until_its_time():
    availability = Availability()
    availability.bar(Bar.OVERLOADED, until=10.0)
    assert not availability.available(9.9)
    assert availability.available(10.0)


def test_a_bar_whose_time_has_passed_is_seen_until_it_is_dropped():
    availability = Availability()
    availability.bar(Bar.OVERLOADED, until=10.0)
    availability.bar(Bar.WARMING, until=20.0)
    assert availability.available(10.0)
    assert availability.state() == "asked to wait, warming up"
    availability.expire(10.0)
    assert availability.state() == "warming up"


def test_everyone_lifts_only_his_own_bar():
    availability = Availability()
    availability.bar(Bar.EJECTED)
    availability.bar(Bar.UNHEALTHY)
    assert availability.lift(Bar.EJECTED)
    assert not availability.lift(Bar.EJECTED)
    assert not availability.available(0.0)
    assert availability.lift(Bar.UNHEALTHY)
    assert availability.available(0.0)


def test_warming_up_is_available_with_a_share_that_grows_from_the_floor():
    availability = Availability()
    availability.warm(100.0, 10.0)
    assert availability.available(100.0)
    assert availability.warmth(100.0, 0.1) == 0.1
    assert availability.warmth(105.0, 0.1) == pytest.approx(0.5)
    assert availability.warmth(110.0, 0.1) == 1.0
    assert Availability().warmth(0.0, 0.1) == 1.0


def test_the_state_names_each_reason_with_its_detail():
    availability = Availability()
    availability.bar(Bar.EJECTED, detail="3 failures in a row")
    availability.bar(Bar.DRAINED)
    assert availability.state() == "ejected (3 failures in a row), drained"
