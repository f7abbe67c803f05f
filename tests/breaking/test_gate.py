"""The gate: pybreaker's states, with admission before, the outcome after, and nothing held between."""

from __future__ import annotations

import random
import threading

import pybreaker
import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshware.breaking.errors import BreakerOpen
from meshware.breaking.gate import Backoff, Gate, spread
from meshware.core.outcome import Verdict

OK, BAD, OVER, NOTHING = Verdict.SUCCESS, Verdict.FAILURE, Verdict.OVERLOADED, Verdict.NEUTRAL


def gate(*, after=3, jitter=0.0, breaker=None):
    """A gate that opens after so many failures in a row."""
    failures = []

    def tripped(now):
        failures.append(now)
        return len(failures) >= after

    return Gate(backoff=Backoff(1.0, 16.0, jitter), rng=random.Random(1), tripped=tripped, breaker=breaker)


def opened(**options):
    made = gate(after=1, **options)
    made.record(made.admit(0.0), BAD, 0.0)
    return made


def test_it_opens_when_its_owner_says_so_and_then_refuses():
    made = gate(after=3)
    for _ in range(3):
        made.record(made.admit(0.0), BAD, 0.0)
    assert not made.closed
    assert made.admit(0.5) is None
    assert made.until(0.5) == 1.0


def test_one_trial_at_a_time_and_its_success_closes():
    made = opened()
    trial = made.admit(1.0)
    assert trial.trial
    assert made.admit(1.0) is None
    made.record(trial, OK, 1.1)
    assert made.closed
    assert made.until(1.1) is None
    assert not made.admit(1.1).trial


def test_a_trial_that_fails_opens_for_twice_as_long_up_to_the_cap():
    made, now, waits = opened(), 1.0, []
    for _ in range(6):
        made.record(made.admit(now), BAD, now)
        waits.append(made.until(now) - now)
        now = made.until(now)
    assert waits == [2.0, 4.0, 8.0, 16.0, 16.0, 16.0]


@pytest.mark.parametrize("verdict", [OVER, NOTHING])
def test_a_trial_that_says_nothing_gives_its_permit_back(verdict):
    made = opened()
    made.record(made.admit(1.0), verdict, 1.0)
    assert made.admit(1.0).trial


@pytest.mark.row("F36")
def test_an_outcome_of_an_earlier_epoch_changes_nothing():
    made = gate(after=1)
    late = made.admit(0.0)
    made.record(made.admit(0.0), BAD, 0.0)
    opens_again = made.opens_again
    made.record(late, OK, 0.1)
    made.record(late, BAD, 0.1)
    made.release(late, 0.1)
    assert not made.closed
    assert made.opens_again == opens_again


def test_a_late_trial_cannot_give_back_the_permit_of_a_later_one():
    made = opened()
    old = made.admit(1.0)
    made.open(1.0, 2.0)
    current = made.admit(2.0)
    made.release(old, 2.0)
    assert made.admit(2.0) is None
    made.release(current, 2.0)
    assert made.admit(2.0) is not None


def test_its_owner_opens_and_closes_it_without_counting():
    made = gate()
    made.open(0.0, 7.0)
    assert (made.until(0.0), made.k) == (7.0, 0)
    made.close(3.0)
    assert made.closed


@pytest.mark.row("F34")
def test_64_threads_get_one_trial():
    made, leases, barrier = opened(), [], threading.Barrier(64)

    def work():
        barrier.wait()
        leases.append(made.admit(1.0))

    workers = [threading.Thread(target=work) for _ in range(64)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(lease is not None for lease in leases) == 1


def test_a_users_own_breaker_holds_and_its_listeners_hear():
    heard = []

    class Listener(pybreaker.CircuitBreakerListener):
        def state_change(self, breaker, old, new):
            heard.append((old.name, new.name))

    own = pybreaker.CircuitBreaker(fail_max=2, reset_timeout=5, listeners=[Listener()])
    made = gate(after=100, breaker=own)
    for _ in range(2):
        made.record(made.admit(0.0), BAD, 0.0)
    assert made.admit(1.0) is None
    assert made.until(1.0) == 5.0
    made.record(made.admit(5.0), OK, 5.0)
    assert heard == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]


def test_what_the_user_does_to_his_breaker_by_hand_is_seen():
    own = pybreaker.CircuitBreaker(reset_timeout=5)
    made = gate(breaker=own)
    lease = made.admit(0.0)
    own.open()
    assert made.admit(1.0) is None
    made.record(lease, OK, 1.0)
    assert not made.closed
    own.close()
    assert made.admit(1.0) is not None


def test_the_callers_error_is_never_fed_to_the_breaker():
    own = pybreaker.CircuitBreaker(fail_max=5, exclude=[KeyError])
    made = gate(after=100, breaker=own)
    made.record(made.admit(0.0), BAD, 0.0)
    assert own.fail_counter == 1


@given(some.floats(0.1, 100), some.floats(0, 1), some.integers(0, 2**32))
def test_times_are_spread_by_the_jitter_and_no_more(seconds, jitter, seed):
    assert seconds * (1 - jitter) <= spread(seconds, jitter, random.Random(seed)) <= seconds * (1 + jitter)


def test_our_error_is_pybreakers_too():
    error = BreakerOpen("inventory", 2.0, 1.0)
    assert isinstance(error, pybreaker.CircuitBreakerError)
    assert "next trial in 1.0 s" in str(error)
