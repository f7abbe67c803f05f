"""The circuit: a service of which nothing succeeds is refused, and tried again."""

from __future__ import annotations

import random

import pybreaker
import pytest

from meshware.breaking.circuit import CircuitOptions, ServiceCircuit
from meshware.core.events import CircuitClosed, CircuitOpened
from meshware.core.outcome import Verdict

OK, BAD, OVER, NOTHING = Verdict.SUCCESS, Verdict.FAILURE, Verdict.OVERLOADED, Verdict.NEUTRAL


class Guard:
    on = False


class Watched:
    """A circuit, its guard, and what it emitted."""

    def __init__(self, breaker=None, **options):
        self.events, self.guard = [], Guard()
        self.circuit = ServiceCircuit(
            CircuitOptions(jitter=0.0, **options),
            service="inventory",
            guard=self.guard,
            rng=random.Random(1),
            emit=self.events.append,
            breaker=breaker,
        )

    def calls(self, verdict, count, *, now=0.0, every=0.2, broken=None):
        """So many calls, one every so often; the time after the last."""
        for _ in range(count):
            lease = self.circuit.admit(now)
            if lease is not None:
                self.circuit.record(lease, verdict, now)
                if broken is not None:
                    self.circuit.body(lease, broken, now)
            now += every
        return now

    def open(self, now):
        return self.circuit.admit(now) is None


def test_twenty_calls_in_a_row_over_two_seconds_open_it():
    watched = Watched()
    now = watched.calls(BAD, 19)
    assert not watched.open(now)
    now = watched.calls(BAD, 1, now=now)
    assert watched.open(now)
    assert watched.circuit.until(now) == pytest.approx(now - 0.2 + 1.0)
    (event,) = watched.events
    assert isinstance(event, CircuitOpened)
    assert (event.service, event.until - event.at) == ("inventory", pytest.approx(1.0))


def test_a_burst_shorter_than_two_seconds_does_not():
    watched = Watched()
    now = watched.calls(BAD, 100, every=0.01)
    assert not watched.open(now)


def test_one_body_read_to_its_end_begins_the_row_anew():
    watched = Watched()
    now = watched.calls(BAD, 19)
    now = watched.calls(OK, 1, now=now, broken=False)
    now = watched.calls(BAD, 19, now=now)
    assert not watched.open(now)


def test_answers_whose_bodies_break_are_a_row():
    watched = Watched()
    now = watched.calls(OK, 20, broken=True)
    assert watched.open(now)


@pytest.mark.parametrize("verdict", [OVER, NOTHING])
def test_overload_and_local_causes_count_in_nothing(verdict):
    watched = Watched()
    now = watched.calls(verdict, 50)
    watched.calls(BAD, 1)
    now = watched.calls(verdict, 50, now=now)
    assert not watched.open(now)


def test_a_trial_that_succeeds_closes_it_and_the_next_opening_is_short_again():
    watched = Watched()
    now = watched.calls(BAD, 20)
    for wait in (1.0, 2.0):
        now += wait
        trial = watched.circuit.admit(now)
        assert trial.trial
        watched.circuit.record(trial, BAD, now)
    now += 4.0
    watched.circuit.record(watched.circuit.admit(now), OK, now)
    assert not watched.open(now)
    assert isinstance(watched.events[-1], CircuitClosed)
    last = watched.calls(BAD, 20, now=now) - 0.2
    assert watched.circuit.until(last) == pytest.approx(last + 1.0)


def test_the_wait_is_capped():
    watched = Watched(cap=3.0)
    now = watched.calls(BAD, 20)
    for _ in range(5):
        now = watched.circuit.until(now)
        watched.circuit.record(watched.circuit.admit(now), BAD, now)
    assert watched.circuit.until(now) == pytest.approx(now + 3.0)


def test_a_trial_given_back_can_be_had_again():
    watched = Watched()
    now = watched.calls(BAD, 20) + 1.0
    watched.circuit.release(watched.circuit.admit(now), now)
    assert watched.circuit.admit(now).trial


def test_in_health_a_release_has_nothing_to_give_back():
    watched = Watched()
    watched.circuit.release(watched.circuit.admit(0.0), 0.0)
    assert watched.circuit.until(0.0) is None


def test_switched_off_it_never_opens():
    watched = Watched(enabled=False)
    now = watched.calls(BAD, 100)
    assert not watched.open(now)


def test_a_call_begun_in_health_counts_until_the_first_opening_and_no_further():
    watched = Watched()
    early = watched.circuit.admit(0.0)
    now = watched.calls(BAD, 20)
    assert watched.open(now)
    watched.circuit.record(early, OK, now)
    watched.circuit.body(early, True, now)
    assert watched.open(now)


# By rate, where that is set


def test_a_rate_opens_it_from_the_minimum_on():
    watched = Watched(failure_rate=0.5, minimum=10)
    now = watched.calls(OK, 5, every=0.1, broken=False)
    now = watched.calls(BAD, 4, now=now, every=0.1)
    assert not watched.open(now)
    now = watched.calls(BAD, 1, now=now, every=0.1)
    assert watched.open(now)


def test_while_the_guard_holds_a_rate_does_not():
    watched = Watched(failure_rate=0.5, minimum=10)
    watched.guard.on = True
    now = watched.calls(BAD, 15, every=0.1)
    assert not watched.open(now)


def test_a_broken_body_takes_its_success_back_from_the_rate():
    watched = Watched(failure_rate=0.9, minimum=10)
    now = watched.calls(OK, 10, every=0.1, broken=True)
    assert watched.open(now)


def test_the_rate_begins_anew_when_it_closes():
    watched = Watched(failure_rate=0.5, minimum=10)
    now = watched.calls(BAD, 10, every=0.1) + 1.0
    watched.circuit.record(watched.circuit.admit(now), OK, now)
    now = watched.calls(BAD, 9, now=now, every=0.01)
    assert not watched.open(now)


# A breaker of the user's own


def test_a_breaker_of_the_users_own_decides_too():
    own = pybreaker.CircuitBreaker(fail_max=3, reset_timeout=7)
    watched = Watched(breaker=own)
    now = watched.calls(OK, 5, broken=False)
    now = watched.calls(BAD, 3, now=now)
    assert own.current_state == "open"
    assert watched.open(now)
    assert watched.circuit.until(now) == pytest.approx(now - 0.2 + 7)


def test_his_breaker_holds_even_where_ours_is_switched_off():
    own = pybreaker.CircuitBreaker(fail_max=3, reset_timeout=7)
    watched = Watched(breaker=own, enabled=False)
    now = watched.calls(BAD, 3)
    assert watched.open(now)
