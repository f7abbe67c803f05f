"""Ejection: who goes out, for how long, how many at most, and how they come back. Design.md's defaults."""

from __future__ import annotations

import pytest
from world import World

from meshware import plugins
from meshware.core.availability import Bar
from meshware.core.endpoint import Endpoint
from meshware.core.events import EndpointEjected, EndpointRestored, PluginFailed
from meshware.core.outcome import Cause, Ending

RESTORED, EJECTED = EndpointRestored, EndpointEjected


class Fleet(World):
    """A world in which one endpoint at a time can be made to answer so or so."""

    def __init__(self, endpoints=4, **settings):
        ejection = {"jitter": 0.0, **settings.pop("ejection", {})}
        super().__init__(endpoints, ejection=ejection, **settings)
        while self.service.budget.withdraw(self.now):  # calls may be retried, but none is
            pass
        self.service.budget.deposit = lambda now: None

    def at(self, endpoint, *, method="GET"):
        """A call whose attempt is at this endpoint, by asking until it is."""
        for _ in range(200):
            call = self.call(method)
            attempt = call.begin(self.now)
            if attempt.endpoint is endpoint:
                return call, attempt
            call.abandon(attempt, self.now)
            self.service.settle(self.now)
        raise AssertionError(f"nothing goes to {endpoint}")

    def answers(self, endpoint, status=200, count=1, *, ending=Ending.COMPLETE, **facts):
        for _ in range(count):
            call, attempt = self.at(endpoint)
            self.answer(call, attempt, status, after=0.0, **facts)
            self.read(call, attempt, ending)

    def fails(self, endpoint, cause, count=1):
        for _ in range(count):
            call, attempt = self.at(endpoint)
            self.fail(call, attempt, cause, after=0.0, sent=cause is not Cause.REFUSED)

    def out(self):
        return [each.address for each in self.endpoints if not each.availability.available(self.now)]

    def of(self, kind):
        return [each for each in self.events if isinstance(each, kind)]

    def trial(self, endpoint, *, method="GET"):
        """The next call, which must be the endpoint's trial."""
        call = self.call(method)
        attempt = call.begin(self.now)
        assert attempt.endpoint is endpoint
        assert attempt.lease is not None
        return call, attempt


def test_three_failures_in_a_row_eject_for_a_second():
    fleet = Fleet()
    bad = fleet.endpoints[0]
    fleet.answers(bad, 500, 2)
    assert fleet.out() == []
    fleet.answers(bad, 500)
    assert fleet.out() == [bad.address]
    (event,) = fleet.of(EJECTED)
    assert (event.address, event.reason, event.until - event.at) == (bad.address, "3 failures in a row", 1.0)


def test_timeouts_by_one_silence_are_one_in_the_row():
    fleet = Fleet(ejection={"minimum": 100}, retry={"attempts": 1})
    bad = fleet.endpoints[0]
    for _ in range(3):
        assert fleet.out() == []
        together = [fleet.at(bad) for _ in range(4)]
        fleet.now += 2.0
        for call, attempt in together:
            fleet.fail(call, attempt, Cause.TIMEOUT, after=0.0)
    assert fleet.out() == [bad.address]


def test_a_body_read_to_its_end_or_dropped_ends_the_row():
    for ending in (Ending.COMPLETE, Ending.DROPPED):
        fleet = Fleet(ejection={"minimum": 100})
        bad = fleet.endpoints[0]
        fleet.answers(bad, 500, 2)
        fleet.answers(bad, 200, ending=ending)
        fleet.answers(bad, 500, 2)
        assert fleet.out() == []


@pytest.mark.row("F25")
def test_a_success_rate_under_80_percent_of_five_ejects():
    fleet = Fleet(ejection={"consecutive": 100})
    bad = fleet.endpoints[0]
    fleet.answers(bad, 200, 3)
    fleet.answers(bad, 500)
    assert fleet.out() == []
    fleet.answers(bad, 500)
    assert fleet.out() == [bad.address]
    assert fleet.of(EJECTED)[0].reason == "3 of 5 succeeded"


def test_what_is_older_than_the_window_counts_no_more():
    fleet = Fleet(ejection={"consecutive": 100})
    bad = fleet.endpoints[0]
    fleet.answers(bad, 500, 4)
    fleet.pass_time(11)
    fleet.answers(bad, 200, 4)
    fleet.answers(bad, 500)
    assert fleet.out() == []


def test_under_the_guard_no_rate_ejects_but_a_row_does():
    fleet = Fleet(ejection={"consecutive": 6})
    bad = fleet.endpoints[0]
    fleet.service.guard.on = True
    fleet.service.guard.record = lambda failed, now: None
    fleet.answers(bad, 500, 5)
    assert fleet.out() == []
    fleet.answers(bad, 500)
    assert fleet.out() == [bad.address]


@pytest.mark.row("F38")
def test_a_4xx_and_a_local_cause_are_nobodys_failure():
    fleet = Fleet()
    fine = fleet.endpoints[0]
    fleet.answers(fine, 404, 10)
    fleet.fails(fine, Cause.LOCAL, 10)
    assert fleet.out() == []


@pytest.mark.row("F33")
def test_at_most_half_rounded_down_are_out_for_their_answers():
    fleet = Fleet(5)
    for endpoint in fleet.endpoints[:4]:
        fleet.answers(endpoint, 500, 3)
    assert len(fleet.out()) == 2


@pytest.mark.row("F47")
def test_a_single_endpoint_is_never_out_for_its_answers():
    fleet = Fleet(1)
    fleet.answers(fleet.endpoints[0], 500, 15)
    assert fleet.out() == []


def test_switched_off_it_ejects_nobody():
    fleet = Fleet(ejection={"enabled": False})
    fleet.answers(fleet.endpoints[0], 500, 10)
    fleet.fails(fleet.endpoints[0], Cause.REFUSED, 3)
    assert fleet.out() == []


# Broken bodies


def test_three_broken_bodies_in_a_row_eject():
    fleet = Fleet(ejection={"minimum": 100})
    bad = fleet.endpoints[0]
    fleet.answers(bad, 200, 3, ending=Ending.BROKEN)
    assert fleet.out() == [bad.address]


def test_a_broken_body_takes_its_success_back_from_the_rate():
    fleet = Fleet(ejection={"consecutive": 100})
    bad = fleet.endpoints[0]
    fleet.answers(bad, 200, 3)
    fleet.answers(bad, 200, 2, ending=Ending.BROKEN)
    assert fleet.of(EJECTED)[0].reason == "3 of 5 succeeded"


def test_a_body_that_ends_after_the_ejection_changes_nothing():
    fleet = Fleet()
    bad = fleet.endpoints[0]
    open_bodies = [fleet.at(bad) for _ in range(2)]
    for call, attempt in open_bodies:
        fleet.answer(call, attempt, after=0.0)
    fleet.answers(bad, 500, 3)
    for (call, attempt), ending in zip(open_bodies, (Ending.BROKEN, Ending.COMPLETE), strict=True):
        fleet.read(call, attempt, ending)
    assert len(fleet.of(EJECTED)) == 1


def test_an_answer_of_before_the_ejection_changes_nothing():
    fleet = Fleet()
    bad = fleet.endpoints[0]
    late = [fleet.at(bad) for _ in range(4)]
    fleet.answers(bad, 500, 3)
    for call, attempt in late:
        fleet.answer(call, attempt, 500, after=0.0)
    assert len(fleet.of(EJECTED)) == 1


# The connection class


def test_one_refused_connection_ejects_until_a_background_connect_succeeds():
    fleet = Fleet()
    dead = fleet.endpoints[0]
    fleet.fails(dead, Cause.REFUSED)
    assert fleet.out() == [dead.address]
    assert dead.availability.state() == "ejected (connection refused)"
    ejection = fleet.service.ejection
    assert list(ejection.probes(fleet.now)) == []
    fleet.pass_time(1.0)
    assert list(ejection.probes(fleet.now)) == [dead]
    assert list(ejection.probes(fleet.now)) == []
    ejection.connected(dead, False, fleet.now)
    fleet.pass_time(600)
    assert fleet.out() == [dead.address]
    ejection.connected(dead, True, fleet.now)
    fleet.keep_house()
    assert fleet.out() == []
    assert fleet.of(RESTORED)[0].away == pytest.approx(601.0)
    ejection.connected(dead, True, fleet.now)  # told twice: nothing more
    assert len(fleet.of(RESTORED)) == 1


def test_two_connect_timeouts_in_a_row_eject():
    fleet = Fleet()
    dead = fleet.endpoints[0]
    fleet.fails(dead, Cause.CONNECT_TIMEOUT)
    assert fleet.out() == []
    fleet.fails(dead, Cause.CONNECT_TIMEOUT)
    assert fleet.out() == [dead.address]
    assert dead.availability.state() == "ejected (no connection)"


@pytest.mark.row("F32")
def test_refused_connections_have_no_cap_but_never_take_the_last():
    fleet = Fleet(4)
    for endpoint in fleet.endpoints[:3]:
        fleet.fails(endpoint, Cause.REFUSED)
    assert len(fleet.out()) == 3
    fleet.fails(fleet.endpoints[3], Cause.REFUSED, 5)
    assert len(fleet.out()) == 3


def test_it_comes_back_slowly_after_a_long_time_away():
    fleet = Fleet()
    dead = fleet.endpoints[0]
    fleet.fails(dead, Cause.REFUSED)
    fleet.pass_time(4.0)
    fleet.service.ejection.connected(dead, True, fleet.now)
    assert dead.availability.warmth(fleet.now, 0.1) == 0.1
    assert dead.availability.warmth(fleet.now + 2.0, 0.1) == pytest.approx(0.5)
    assert dead.availability.warmth(fleet.now + 4.0, 0.1) == 1.0


def test_without_slow_start_it_comes_back_at_once():
    fleet = Fleet(slow_start=0.0)
    dead = fleet.endpoints[0]
    fleet.fails(dead, Cause.REFUSED)
    fleet.pass_time(4.0)
    fleet.service.ejection.connected(dead, True, fleet.now)
    assert dead.bars == {}


def test_what_was_learned_of_its_times_is_forgotten_when_it_returns():
    fleet = Fleet(strategy="peak_ewma")
    dead = fleet.endpoints[0]
    fleet.fails(dead, Cause.REFUSED)
    assert dead.samplers[0].value(fleet.now) > 0
    fleet.service.ejection.connected(dead, True, fleet.now)
    assert dead.samplers[0].value(fleet.now) == 0.0


# Trials


def ejected():
    fleet = Fleet()
    bad = fleet.endpoints[0]
    fleet.answers(bad, 500, 3)
    return fleet, bad


def test_when_its_time_is_over_one_call_is_its_trial_and_a_success_brings_it_back():
    fleet, bad = ejected()
    fleet.now += 0.9
    assert fleet.call().begin(fleet.now).lease is None
    fleet.now += 0.2
    call, attempt = fleet.trial(bad)
    assert fleet.call().begin(fleet.now).endpoint is not bad
    fleet.answer(call, attempt, after=0.0)
    assert fleet.out() == []
    assert len(fleet.of(RESTORED)) == 1


def test_a_trial_whose_body_breaks_off_has_failed_after_all():
    fleet, bad = ejected()
    fleet.now += 1.0
    call, attempt = fleet.trial(bad)
    fleet.answer(call, attempt, after=0.0)
    assert fleet.out() == []
    fleet.read(call, attempt, Ending.BROKEN)
    assert fleet.out() == [bad.address]
    last = fleet.of(EJECTED)[-1]
    assert (last.reason, last.until - fleet.now) == ("the body of its trial broke off", 2.0)


def test_a_trial_whose_body_breaks_off_is_not_missed_where_another_is_out_by_now():
    fleet = Fleet(2)
    bad, other = fleet.endpoints
    fleet.answers(bad, 500, 3)
    fleet.now += 1.0
    call, attempt = fleet.trial(bad)
    fleet.answer(call, attempt, after=0.0)
    fleet.pass_time(10.0)
    fleet.answers(other, 500, 3)
    assert fleet.out() == [other.address]
    fleet.read(call, attempt, Ending.BROKEN)
    assert fleet.out() == [other.address]


def test_each_failed_trial_doubles_its_time_up_to_sixteen_seconds():
    fleet, bad = ejected()
    waits = [1.0]
    for _ in range(6):
        fleet.now += waits[-1]
        call, attempt = fleet.trial(bad)
        fleet.answer(call, attempt, 500, after=0.0)
        waits.append(fleet.of(EJECTED)[-1].until - fleet.now)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 16.0, 16.0]
    assert fleet.of(EJECTED)[-1].reason == "its trial failed"


def test_ten_healthy_seconds_make_the_next_ejection_one_step_shorter():
    fleet, bad = ejected()
    for wait in (1.0, 2.0, 4.0):
        fleet.now += wait
        call, attempt = fleet.trial(bad)
        fleet.answer(call, attempt, 500 if wait < 4 else 200, after=0.0)
    fleet.pass_time(25.0)
    fleet.answers(bad, 500, 3)
    assert fleet.of(EJECTED)[-1].until - fleet.now == 2.0  # 1 s x 2 ** (3 - 2)


def test_a_trial_waits_for_a_call_that_may_be_retried_and_then_takes_any():
    fleet = World(4, ejection={"jitter": 0.0})
    bad = fleet.endpoints[0]
    while not any(isinstance(each, EJECTED) for each in fleet.events):
        call = fleet.call("POST")
        attempt = call.begin(fleet.now)
        fleet.answer(call, attempt, 500 if attempt.endpoint is bad else 200, after=0.0)
        fleet.read(call, attempt)
    fleet.pass_time(1.5)
    assert fleet.call("POST").begin(fleet.now).lease is None
    fleet.pass_time(0.6)
    assert fleet.call("POST").begin(fleet.now).lease is not None


def test_a_trial_that_is_refused_the_connection_waits_for_a_background_connect():
    fleet, bad = ejected()
    fleet.now += 1.0
    call, attempt = fleet.trial(bad)
    fleet.fail(call, attempt, Cause.REFUSED, sent=False, after=0.0)
    fleet.pass_time(100)
    assert fleet.call().begin(fleet.now).lease is None
    assert list(fleet.service.ejection.probes(fleet.now)) == [bad]


@pytest.mark.row("F37")
def test_a_trial_that_asks_for_time_or_says_nothing_gives_its_permit_back():
    fleet, bad = ejected()
    fleet.now += 1.0
    call, attempt = fleet.trial(bad)
    fleet.answer(call, attempt, 503, retry_after=1.0, after=0.0)
    call, attempt = fleet.trial(bad)
    fleet.fail(call, attempt, Cause.LOCAL, after=0.0)
    fleet.trial(bad)


def test_an_endpoint_held_for_another_reason_has_no_trial():
    fleet, bad = ejected()
    bad.availability.bar(Bar.HELD)
    fleet.now += 5.0
    assert fleet.call().begin(fleet.now).lease is None


# Asked to wait


def test_a_retry_after_is_kept_and_counts_in_neither_row_nor_rate():
    fleet = Fleet()
    busy = fleet.endpoints[0]
    fleet.answers(busy, 503, 1, retry_after=2.0)
    assert fleet.out() == [busy.address]
    assert busy.availability.state() == "asked to wait (Retry-After 2 s)"
    fleet.now += 2.1
    assert fleet.out() == []
    assert fleet.of(EJECTED) == []


def test_without_retry_after_an_overloaded_endpoint_stays():
    fleet = Fleet()
    fleet.answers(fleet.endpoints[0], 429, 10)
    assert fleet.out() == []


def test_those_asked_to_wait_for_are_under_the_cap_for_answers():
    fleet = Fleet(4)
    for endpoint in fleet.endpoints:
        try:
            fleet.answers(endpoint, 503, retry_after=5.0)
        except AssertionError:
            pass  # nothing goes there any more
    assert len(fleet.out()) == 2


# Gone


def test_an_endpoint_that_is_gone_is_forgotten():
    fleet, bad = ejected()
    fleet.service.replace([each for each in fleet.endpoints if each is not bad], fleet.now)
    assert fleet.service.ejection.waiting == {}
    fleet.service.replace([*fleet.endpoints, Endpoint(bad.address)], fleet.now)
    assert fleet.out() == []


class Careless:
    """A meter of a user's own that cannot forget."""

    needs = property(lambda self: (self,))

    def fleet(self):
        return None

    def reading(self, fleet):
        return self

    def sample(self, elapsed, failed, outcome, now):
        pass

    def reset(self):
        raise LookupError("no idea")

    def score(self, endpoint, call):
        return 1.0


def test_a_meter_that_cannot_forget_keeps_no_endpoint_out_and_breaks_no_call(monkeypatch):
    monkeypatch.setattr(plugins, "_registered", {})
    plugins.register(plugins.STRATEGIES, "careless", Careless)
    fleet = Fleet(strategy="careless", circuit={"enabled": False})
    endpoint = fleet.endpoints[0]
    fleet.answers(endpoint, 500, 3)
    assert fleet.out() == [endpoint.address]
    fleet.pass_time(1.0)
    call, attempt = fleet.trial(endpoint)
    fleet.answer(call, attempt)
    assert fleet.out() == []
    for _ in range(40):  # until the fleet guard is on
        call = fleet.call("POST")
        fleet.answer(call, call.begin(fleet.now), 500)
    assert fleet.service.guard.on
    assert {each.plugin for each in fleet.of(PluginFailed)} == {"meter"}


def test_the_last_one_that_is_left_is_never_out_for_its_answers_or_its_wish():
    fleet = Fleet(2)
    gone, last = fleet.endpoints
    fleet.fails(gone, Cause.REFUSED)
    fleet.answers(last, 500, 6)
    fleet.answers(last, 429, retry_after=5.0)
    assert fleet.out() == [gone.address]


@pytest.mark.parametrize(("size", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2), (7, 3)])
def test_of_a_small_pool_a_whole_number_goes_rounded_down(size, most):
    fleet = Fleet(size)
    for endpoint in fleet.endpoints:
        if fleet.service.guard.on:
            fleet.service.guard.on = False
        fleet.answers(endpoint, 500, 3)
    assert len(fleet.out()) == most
