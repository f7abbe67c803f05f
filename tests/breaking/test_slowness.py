"""Slow calls: endpoints that answer, but too late too often."""

from __future__ import annotations

from breaking.test_ejection import EJECTED, RESTORED, Fleet

from meshware.breaking.slowness import SlowOptions, slow, times
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Cause

NOW = 1000.0


def kept(*seconds, at=NOW):
    made = times()
    made.extend((at, each) for each in seconds)
    return made


def found(*answers, **options):
    fleet = [(Endpoint(f"10.0.0.{number}:80"), each) for number, each in enumerate(answers)]
    return [each.endpoint.host[-1] for each in slow(fleet, SlowOptions(minimum=4, **options), NOW)]


FAST = kept(0.01, 0.01, 0.02, 0.02)


def test_more_than_the_share_over_a_set_time_is_slow():
    assert found(kept(0.1, 1.2, 1.3, 1.1), FAST, seconds=1.0) == ["0"]
    assert found(kept(0.1, 0.1, 1.3, 1.1), FAST, seconds=1.0) == [], "half is not more than half"
    assert found(kept(0.1, 0.1, 1.3, 1.1), FAST, seconds=1.0, share=0.4) == ["0"]


def test_its_reason_says_how_many_and_the_limit():
    (one,) = slow(
        [(Endpoint("a:1"), kept(2.0, 2.0, 2.0, 0.5)), (Endpoint("b:1"), FAST)], SlowOptions(seconds=1.0, minimum=4), NOW
    )
    assert (one.reason, one.over) == ("75% of 4 calls took over 1.000 s", 1.0)


def test_what_is_older_than_the_window_or_too_little_says_nothing():
    assert found(kept(2.0, 2.0, 2.0, 2.0, at=NOW - 11), FAST, seconds=1.0) == []
    assert found(kept(2.0, 2.0, 2.0), FAST, seconds=1.0) == []


def test_a_multiple_of_the_others_p95_is_not_moved_by_the_slow_one_itself():
    assert found(kept(0.3, 0.3, 0.3, 0.3), FAST, p95s=10) == ["0"]
    assert found(kept(0.3, 0.3, 0.3, 0.3), FAST, FAST, FAST, p95s=10) == ["0"]
    assert found(kept(0.3, 0.3, 0.3, 0.3), FAST, FAST, FAST, p95s=20) == []


def test_who_is_alone_is_slower_than_nobody():
    assert found(kept(3.0, 3.0, 3.0, 3.0), p95s=2) == []


def test_when_most_are_slow_it_is_nobodys_fault():
    late = kept(2.0, 2.0, 2.0, 2.0)
    assert found(late, late, FAST, seconds=1.0) == []
    assert found(late, late, FAST, FAST, seconds=1.0) == ["0", "1"]


def test_the_slowest_comes_first():
    assert found(kept(0.1, 2.0, 2.0, 2.0), kept(2.0, 2.0, 2.0, 2.0), FAST, FAST, seconds=1.0) == ["1", "0"]


# Within ejection


def slowed(**options):
    fleet = Fleet(4, ejection={"slow": {"seconds": 1.0, "minimum": 3, **options}})
    for each in fleet.endpoints[1:]:
        fleet.answers(each, 200, 3)
    return fleet


def late(fleet, endpoint, count=3, *, seconds=2.0):
    for _ in range(count):
        call, attempt = fleet.at(endpoint)
        fleet.answer(call, attempt, after=seconds)
        fleet.read(call, attempt)


def test_a_slow_endpoint_is_ejected_at_the_next_review_and_comes_back_by_a_fast_trial():
    fleet = slowed()
    bad = fleet.endpoints[0]
    late(fleet, bad)
    for each in fleet.endpoints[1:]:
        fleet.answers(each, 200, 3)
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == [bad.address]
    fleet.pass_time(1.1)
    call, attempt = fleet.trial(bad)
    fleet.answer(call, attempt, after=0.1)
    assert fleet.out() == []
    fleet.service.ejection.review(fleet.now + 1)
    assert len(fleet.of(EJECTED)) == 1, "what was slow is forgotten"


def test_a_slow_trial_has_failed():
    fleet = slowed()
    bad = fleet.endpoints[0]
    late(fleet, bad)
    for each in fleet.endpoints[1:]:
        fleet.answers(each, 200, 3)
    fleet.service.ejection.review(fleet.now)
    fleet.pass_time(1.1)
    call, attempt = fleet.trial(bad)
    fleet.answer(call, attempt, after=1.5)
    assert [each.reason for each in fleet.of(EJECTED)] == ["100% of 3 calls took over 1.000 s", "its trial was slow"]
    assert fleet.of(RESTORED) == []


def test_calls_that_ran_out_of_time_are_slow_ones():
    fleet = Fleet(4, ejection={"consecutive": 100, "success_rate": 0.0, "slow": {"seconds": 1.0, "minimum": 3}})
    bad = fleet.endpoints[0]
    for _ in range(3):
        call, attempt = fleet.at(bad)
        attempt.fair = True
        fleet.fail(call, attempt, Cause.TIMEOUT, after=2.0)
    fleet.fails(bad, Cause.RESET)
    for each in fleet.endpoints[1:]:
        fleet.answers(each, 200, 3)
    fleet.service.ejection.review(fleet.now)
    assert fleet.of(EJECTED)[0].reason == "100% of 3 calls took over 1.000 s"


def test_unless_set_no_times_are_kept():
    fleet = Fleet()
    late(fleet, fleet.endpoints[0], 25)
    fleet.service.ejection.review(fleet.now)
    assert fleet.out() == []
    assert fleet.service.ejection._records[fleet.endpoints[0]].times is None
