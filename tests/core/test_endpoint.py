"""Endpoint: identity, what is in flight, and its meters."""

from __future__ import annotations

from weakref import ref

import pytest

from meshware.balancing.meters import PeakResponseTime
from meshware.core.attempt import Attempt
from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint, Locality, same_ends
from meshware.core.outcome import Outcome
from meshware.sharing.answers import Pending


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("10.0.0.1:80", "10.0.0.1", 80), ("[::1]:8000", "::1", 8000), ("pod-1.internal:1", "pod-1.internal", 1)],
)
def test_an_address_is_a_host_and_a_port(address, host, port):
    endpoint = Endpoint(address)
    assert (endpoint.host, endpoint.port) == (host, port)


def test_what_is_held_for_a_member_is_let_go_when_the_endpoint_is_removed():
    endpoint = Endpoint("10.0.0.1:80")
    held = ref(endpoint.membership)
    assert held() is endpoint.membership
    endpoint.leave()
    assert held() is None
    held = ref(endpoint.membership)
    assert held() is None  # nobody keeps it: what is asked for now is let go at once
    endpoint.availability.lift(Bar.REMOVED)
    held = ref(endpoint.membership)
    assert held() is endpoint.membership


def test_a_locality_has_as_many_parts_as_are_known():
    assert Locality.parse("aws/eu-west-1/a") == ("aws", "eu-west-1", "a")
    assert Locality.parse("aws") == ("aws", "", "")
    assert Locality.parse("") == ("", "", "")


def test_equal_meters_share_one_reading_and_each_sample_reaches_all():
    endpoint = Endpoint("10.0.0.1:80")
    fast, slow = endpoint.attach(PeakResponseTime(1.0)), endpoint.attach(PeakResponseTime(10.0))
    assert endpoint.attach(PeakResponseTime(1.0)) is fast
    endpoint.sample(0.2, False, Outcome(elapsed=0.2, status=200), 0.0)
    assert (fast.value(0.0), slow.value(0.0)) == (0.2, 0.2)


def test_a_meter_that_refuses_a_sample_keeps_no_other_from_it():
    class Picky:
        def fleet(self):
            return None

        def reading(self, fleet):
            return self

        def sample(self, *facts):
            raise ValueError("not that")

    endpoint = Endpoint("10.0.0.1:80")
    endpoint.attach(Picky())
    fine = endpoint.attach(PeakResponseTime(1.0))
    with pytest.raises(ValueError, match="not that"):
        endpoint.sample(0.2, False, Outcome(elapsed=0.2, status=200), 0.0)
    assert fine.value(0.0) == 0.2


@pytest.mark.parametrize(
    ("old", "new", "ends"),
    [
        ("", "", (0, 0)),
        ("", "ab", (0, 0)),
        ("abcd", "abcd", (4, 0)),
        ("abcd", "abxd", (2, 1)),
        ("abcd", "abd", (2, 1)),
        ("abd", "abcd", (2, 1)),
        ("aba", "a", (1, 0)),
        ("ab", "ba", (0, 0)),
        ("abc", "xbc", (0, 2)),
    ],
)
def test_what_two_sets_begin_and_end_with(old, new, ends):
    assert same_ends(old, new) == ends


def test_an_attempt_ends_once():
    endpoint, attempt = Endpoint("10.0.0.1:80"), object()
    endpoint.open[attempt] = endpoint.waiting[attempt] = 0.0
    endpoint.stream(attempt, 0.0)
    assert endpoint.ended(attempt)
    assert not endpoint.ended(attempt)
    assert [endpoint.open, endpoint.waiting, endpoint.streams] == [{}, {}, {}]


def test_its_repr_says_what_is_open_and_why_it_is_out():
    endpoint = Endpoint("10.0.0.1:80")
    assert repr(endpoint) == "<Endpoint 10.0.0.1:80 open=0>"
    endpoint.availability.bar(Bar.DRAINED)
    assert repr(endpoint) == "<Endpoint 10.0.0.1:80 open=0 drained>"


def test_an_endpoint_that_is_shared_counts_what_all_workers_have_in_flight():
    endpoint = Endpoint("10.0.0.1:80")
    cells = [0.0, 4.0]
    endpoint.share(own := Cell(cells, 0), cells, Pending())
    attempt = Attempt(endpoint, 1, 0.0, 1.0, 1.0)
    assert attempt.found == 4.0
    endpoint.open[attempt] = 0.0
    endpoint.tell()
    assert endpoint.load == 5.0
    endpoint.stream(attempt, 0.0)
    assert endpoint.load == pytest.approx(4.1)
    endpoint.ended(attempt)
    assert cells == [0.0, 4.0]
    endpoint.alone()
    endpoint.tell()
    assert endpoint.load == 0
    assert own.cells is cells


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), -1.0, 1e300])
def test_nonsense_of_others_is_not_believed(nonsense):
    endpoint = Endpoint("10.0.0.1:80")
    endpoint.share([0.0], [0.0, nonsense], Pending())
    assert endpoint.load == 0


class Cell:
    """One of several cells, as a view of it."""

    def __init__(self, cells, index):
        self.cells, self.index = cells, index

    def __setitem__(self, _index, value):
        self.cells[self.index] = value

    def __iter__(self):
        return iter(self.cells)
