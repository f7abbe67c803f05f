"""Which requests are taken on: places and who may have them, deadlines that cannot be met, and what is given back."""

from __future__ import annotations

import gc
import random
import threading

import pytest

from meshware.core.criticality import Criticality
from meshware.core.deadline import Deadline
from meshware.limiting.admission import MOST_WAIT, Admission, AdmissionOptions, Rate
from meshware.limiting.arrival import Arrival, Refusal, under
from meshware.limiting.concurrency import LimitOptions
from meshware.limiting.queue_age import QueueOptions
from meshware.limiting.rate import RateOptions

CRITICAL, DEFAULT, SHEDDABLE = Criticality


def admission_of(**options):
    return Admission(AdmissionOptions(**options), rng=random.Random(1))


def fixed(count, **options):
    return admission_of(kind="fixed", limit=LimitOptions(start=count), **options)


def arrival(path="/", **facts):
    return Arrival("GET", path, **facts)


def filled(admission, count, criticality=DEFAULT):
    """So many tickets, or fewer when a refusal comes first."""
    held = []
    for _ in range(count):
        ticket = admission.admit(arrival(), criticality, 0.0)
        if isinstance(ticket, Refusal):
            break
        held.append(ticket)
    return held


# Places


@pytest.mark.parametrize(("criticality", "places"), [(CRITICAL, 100), (DEFAULT, 90), (SHEDDABLE, 60)])
def test_each_may_fill_its_share(criticality, places):
    assert len(filled(fixed(100), 200, criticality)) == places


@pytest.mark.parametrize("criticality", Criticality)
def test_one_place_is_everybodys(criticality):
    assert len(filled(fixed(1), 3, criticality)) == 1


def test_the_sheddable_go_first_and_the_critical_last():
    admission = fixed(10)
    held = filled(admission, 6)
    shed = admission.admit(arrival(), SHEDDABLE, 0.0)
    assert (shed.status, shed.reason) == (503, "sheddable")
    held += filled(admission, 9)
    assert len(held) == 9
    assert admission.admit(arrival(), DEFAULT, 0.0).reason == "limit"
    assert admission.admit(arrival(), SHEDDABLE, 0.0).reason == "limit"
    held.append(admission.admit(arrival(), CRITICAL, 0.0))
    assert admission.in_flight == 10
    assert admission.admit(arrival(), CRITICAL, 0.0).reason == "limit"
    assert admission.refused == {"sheddable": 1, "limit": 4}


def test_a_place_is_given_back_once():
    admission = fixed(2)
    first, second = filled(admission, 2)
    first.end()
    first.end()
    assert repr(first) == "<Ticket without a place>"
    assert repr(second) == "<Ticket with a place>"
    assert admission.in_flight == 1


def test_a_ticket_that_is_forgotten_gives_its_place_back():
    admission = fixed(2)
    filled(admission, 2)
    gc.collect()
    assert admission.in_flight == 0


def test_places_are_exact_under_threads():
    admission = fixed(20)
    most, over = [0], []

    def work():
        for _ in range(300):
            ticket = admission.admit(arrival(), CRITICAL, 0.0)
            if isinstance(ticket, Refusal):
                continue
            most[0] = max(most[0], admission.in_flight)
            if admission.in_flight > 20:
                over.append(admission.in_flight)
            ticket.answered(200, 0.1)
            ticket.end()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not over
    assert admission.in_flight == 0


def test_come_again_in_a_second_or_two():
    admission = fixed(1)
    held = filled(admission, 1)
    assert {admission.admit(arrival(), DEFAULT, 0.0).retry_after for _ in range(50)} == {1, 2}
    assert held


def test_what_is_exempt_is_never_refused_and_holds_no_place():
    admission = fixed(1, exempt=("/healthz",))
    held = filled(admission, 1)
    assert not isinstance(admission.admit(arrival("/healthz/ready"), SHEDDABLE, 0.0), Refusal)
    assert isinstance(admission.admit(arrival("/healthzz"), SHEDDABLE, 0.0), Refusal)
    assert admission.in_flight == len(held) == 1


def test_without_a_limit_all_are_taken_on():
    admission = admission_of()
    assert len(filled(admission, 1000)) == 1000
    assert (admission.in_flight, admission.limit) == (0, None)
    assert repr(admission) == "<Admission: 0 in flight, no limit>"
    assert repr(fixed(5)) == "<Admission: 0 in flight, limit 5>"


# A limit that learns


def test_late_answers_and_overloads_below_lower_it_and_errors_say_nothing():
    admission = admission_of(kind="aimd", limit=LimitOptions(start=100))
    ticket = admission.admit(arrival(deadline=Deadline(1.0, 1.0)), DEFAULT, 0.0)
    ticket.answered(500, 0.5)
    ticket.answered(200, 0.5)
    assert admission.limit == 100
    ticket.answered(200, 1.5)
    assert admission.limit == 90
    admission.admit(arrival(), DEFAULT, 0.0).answered(503, 0.1)
    assert admission.limit == 81


# Criticality


def test_the_longest_prefix_says_how_much_it_matters_and_a_trusted_caller_more():
    admission = admission_of(prefixes={"/": SHEDDABLE, "/pay": CRITICAL, "/pay/history": DEFAULT})
    assert admission.criticality(None, "/pay/now") is CRITICAL
    assert admission.criticality(None, "/pay/history") is DEFAULT
    assert admission.criticality(None, "/payments") is SHEDDABLE
    assert admission.criticality(CRITICAL, "/payments") is CRITICAL
    assert admission_of().criticality(None, "/") is DEFAULT


def test_a_prefix_is_a_path_and_all_below():
    assert under("/v2", "/v2")
    assert under("/v2/items", "/v2")
    assert not under("/v20", "/v2")
    assert under("/v2/items", "/v2/")
    assert under("/anything", "/")


# What cannot finish


def served(admission, seconds, count=20, path="/report", status=200):
    for _ in range(count):
        ticket = admission.admit(arrival(path), DEFAULT, 0.0)
        ticket.answered(status, seconds)
        ticket.end()


def asked(admission, seconds, *, now=1.0, path="/report"):
    return admission.admit(arrival(path, deadline=Deadline(now + seconds, seconds)), DEFAULT, now)


def test_what_cannot_finish_is_refused_and_holds_no_place():
    admission = fixed(10)
    served(admission, 0.5)
    assert not isinstance(asked(admission, 0.2), Refusal)  # one a second
    gc.collect()
    assert asked(admission, 0.2) == Refusal(504, "deadline")
    assert admission.in_flight == 0
    assert not isinstance(asked(admission, 0.6), Refusal)
    assert not isinstance(asked(admission, 0.2, path="/other"), Refusal)
    assert admission.refused == {"deadline": 1}


def test_errors_are_no_measure_of_what_an_answer_takes():
    admission = admission_of()
    served(admission, 0.5, status=404)
    served(admission, 0.5, status=500)
    assert not any(isinstance(asked(admission, 0.1), Refusal) for _ in range(3))


def test_paths_that_do_not_exist_take_nobodys_name():
    admission = admission_of()
    for number in range(200):
        served(admission, 0.01, count=1, path=f"/x{chr(97 + number % 26)}{chr(97 + number // 26)}", status=404)
    served(admission, 0.5)
    asked(admission, 0.1)
    assert isinstance(asked(admission, 0.1), Refusal)


def test_it_can_be_turned_off():
    admission = admission_of(feasible=False)
    served(admission, 0.5)
    assert not any(isinstance(asked(admission, 0.1), Refusal) for _ in range(3))


def test_a_server_that_was_slow_is_open_again_within_two_seconds_of_healing():
    admission, now, pending, opened = admission_of(), 0.0, [], None
    served(admission, 1.0)
    while now < 5.0:
        took = 1.0 if now < 1.5 else 0.05
        for due, ticket in [each for each in pending if each[0] <= now]:
            pending.remove((due, ticket))
            ticket.answered(200, now)
            ticket.end()
        ticket = asked(admission, 0.3, now=now)
        if isinstance(ticket, Refusal):
            opened = None
        else:
            pending.append((now + took, ticket))
            opened = now if opened is None else opened
        now += 0.01
    assert opened < 1.5 + 2.0
    assert admission.refused["deadline"] > 50


# The order


def test_what_has_waited_too_long_is_refused():
    admission = admission_of(queue=QueueOptions(0.02, 0.1))
    admission.admit(arrival(waited=0.0), DEFAULT, 0.0)
    found = [admission.admit(arrival(waited=0.5), DEFAULT, 0.05 * number) for number in range(1, 10)]
    reasons = {each.reason for each in found if isinstance(each, Refusal)}
    assert reasons == {"queue"}
    assert not isinstance(admission.admit(arrival(), DEFAULT, 0.5), Refusal)


def test_a_caller_over_his_rate_hears_when_to_come_again_and_the_others_do_not_notice():
    admission = admission_of(rates=(Rate(RateOptions(0.5, 2), "/api"),))
    greedy = [admission.admit(arrival("/api", peer="10.0.0.1"), DEFAULT, 0.0) for _ in range(3)]
    assert (greedy[2].status, greedy[2].reason) == (429, "rate")
    assert greedy[2].retry_after in (2, 3)
    assert not isinstance(admission.admit(arrival("/api", peer="10.0.0.2"), DEFAULT, 0.0), Refusal)
    assert not isinstance(admission.admit(arrival("/", peer="10.0.0.1"), DEFAULT, 0.0), Refusal)
    assert not isinstance(admission.admit(arrival("/api", peer="10.0.0.1"), DEFAULT, 2.0), Refusal)


def test_a_name_from_a_trusted_peer_stands_for_the_address():
    admission = admission_of(rates=(Rate(RateOptions(1, 1)),))
    both = [admission.admit(arrival(peer="10.0.0.1", caller=name), DEFAULT, 0.0) for name in ("shop", "office")]
    assert not any(isinstance(each, Refusal) for each in both)
    assert isinstance(admission.admit(arrival(peer="10.0.0.9", caller="shop"), DEFAULT, 0.0), Refusal)


def test_a_rate_of_all_is_one_for_all():
    admission = admission_of(rates=(Rate(RateOptions(0.01, 1), each=False),))
    admission.admit(arrival(peer="10.0.0.1"), DEFAULT, 0.0)
    assert admission.admit(arrival(peer="10.0.0.2"), DEFAULT, 0.0).retry_after in (MOST_WAIT, MOST_WAIT + 1)
