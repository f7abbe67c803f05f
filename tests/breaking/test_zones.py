"""A lost zone: who says so, what goes out, and how it comes back."""

from __future__ import annotations

import pytest
from breaking.test_ejection import EJECTED, RESTORED, Fleet

from meshware.core.endpoint import Locality
from meshware.core.outcome import Cause

A, B = Locality("aws", "eu", "a"), Locality("aws", "eu", "b")


class Zones(Fleet):
    """Endpoints in these zones."""

    def __init__(self, *zones, **settings):
        super().__init__(len(zones), **settings)
        for endpoint, zone in zip(self.endpoints, zones, strict=True):
            endpoint.locality = zone

    def unconnected(self, *numbers, cause=Cause.CONNECT_TIMEOUT):
        """Connects that fail, one after the other."""
        for number in numbers:
            self.fails(self.endpoints[number], cause)

    def gone(self):
        return [number for number, each in enumerate(self.endpoints) if each.address in self.out()]


@pytest.fixture
def zones():
    """Four endpoints in one zone, two in the other; four connects in a row would be needed for one of them."""
    return Zones(A, A, A, A, B, B, ejection={"connect_timeouts": 4, "consecutive": 10})


def test_three_failed_connects_in_a_row_to_two_endpoints_are_the_loss_of_their_zone(zones):
    zones.unconnected(0, 1)
    assert zones.gone() == []
    zones.unconnected(0)
    assert zones.gone() == [0, 1, 2, 3]
    assert {each.reason for each in zones.of(EJECTED)} == {"no connection to aws/eu/a"}


def test_failures_of_one_endpoint_are_its_own(zones):
    zones.unconnected(0, 0, 0)
    assert zones.gone() == []


def test_an_answer_from_the_zone_ends_the_row(zones):
    zones.unconnected(0, 1)
    zones.answers(zones.endpoints[2])
    zones.unconnected(0, 1)
    assert zones.gone() == []
    zones.unconnected(2)
    assert zones.gone() == [0, 1, 2, 3]


def test_an_answer_from_another_zone_does_not(zones):
    zones.unconnected(0, 1)
    zones.answers(zones.endpoints[5])
    zones.unconnected(0)
    assert zones.gone() == [0, 1, 2, 3]


def test_failures_that_are_not_of_the_connection_say_nothing_of_a_zone(zones):
    zones.unconnected(0, 1, 2, cause=Cause.RESET)
    assert zones.gone() == []


def test_endpoints_of_nobody_knows_where_are_no_zone():
    zones = Zones(Locality(), Locality(), Locality(), B, ejection={"connect_timeouts": 4})
    zones.unconnected(0, 1, 2)
    assert zones.gone() == []


def test_the_last_zone_stays():
    zones = Zones(A, A, A, ejection={"connect_timeouts": 4})
    zones.unconnected(0, 1, 2)
    assert zones.gone() == []


def test_the_rest_of_a_zone_goes_with_those_that_refused():
    zones = Zones(A, A, A, A, A, B)
    zones.unconnected(0, 1, 2, cause=Cause.REFUSED)
    assert zones.gone() == [0, 1, 2, 3, 4]
    assert [each.reason for each in zones.of(EJECTED)].count("connection refused") == 3


def test_refusals_that_come_late_count_as_well():
    zones = Zones(A, A, A, A, B)
    late = [zones.at(zones.endpoints[number]) for number in (0, 0, 1)]
    for call, attempt in late:
        zones.fail(call, attempt, Cause.REFUSED, sent=False)
    assert zones.gone() == [0, 1, 2, 3]


def test_each_endpoint_is_back_when_it_can_be_connected_to(zones):
    zones.unconnected(0, 1, 2)
    zones.now += 1.0
    ejection = zones.service.ejection
    assert set(ejection.probes(zones.now)) == set(zones.endpoints[:4])
    ejection.connected(zones.endpoints[2], True, zones.now)
    assert zones.gone() == [0, 1, 3]
    assert [each.address for each in zones.of(RESTORED)] == [zones.endpoints[2].address]


def test_a_zone_that_is_back_can_be_lost_again(zones):
    zones.unconnected(0, 1, 2)
    for endpoint in zones.endpoints[:4]:
        zones.service.ejection.connected(endpoint, True, zones.now)
    assert zones.gone() == []
    zones.pass_time(60.0)
    zones.unconnected(3, 1)
    assert zones.gone() == []
    zones.unconnected(3)
    assert zones.gone() == [0, 1, 2, 3]
