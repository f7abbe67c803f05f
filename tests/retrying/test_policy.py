"""Retries: what may be sent again without harm, and after how long."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as some
from world import request

from meshware.core.outcome import UNSENT, Cause, Outcome, Verdict
from meshware.retrying.policy import Retries, RetryOptions

RETRIES = Retries(RetryOptions())
SENT = [each for each in Cause if each not in UNSENT and each not in (Cause.LOCAL, Cause.CUT)]


def outcome(verdict=Verdict.FAILURE, **facts):
    made = Outcome(elapsed=0.1, **facts)
    made.verdict = verdict
    return made


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
@pytest.mark.parametrize("cause", SENT)
def test_what_is_idempotent_may_be_sent_again_after_bytes_may_have_arrived(method, cause):
    assert RETRIES.allows(request(method), outcome(cause=cause))


@pytest.mark.parametrize("method", ["POST", "PATCH", "TRACE", "CONNECT", "PURGE"])
@pytest.mark.parametrize("cause", SENT)
def test_anything_else_may_not(method, cause):
    assert not RETRIES.allows(request(method), outcome(cause=cause))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("cause", list(Cause))
def test_what_never_left_may_always(method, cause):
    assert RETRIES.allows(request(method), outcome(cause=cause, sent=False))


def test_an_idempotency_key_is_the_users_word():
    assert RETRIES.allows(request("POST", headers={"Idempotency-Key": "1"}), outcome(cause=Cause.RESET))


@pytest.mark.parametrize("sent", [True, False])
def test_a_one_shot_body_never(sent):
    assert not RETRIES.allows(request("PUT", replayable=False), outcome(cause=Cause.RESET, sent=sent))
    assert not RETRIES.retryable(request("PUT", replayable=False))


@pytest.mark.parametrize(
    ("status", "again"), [(429, True), (500, False), (501, False), (502, True), (503, True), (504, True)]
)
def test_gateway_errors_and_overload_are_tried_elsewhere(status, again):
    assert RETRIES.allows(request(), outcome(status=status)) is again


def test_a_success_and_a_neutral_answer_are_not():
    assert not RETRIES.allows(request(), outcome(Verdict.SUCCESS, status=200))
    assert not RETRIES.allows(request(), outcome(Verdict.NEUTRAL, cause=Cause.LOCAL))
    assert not RETRIES.allows(request(), outcome(Verdict.NEUTRAL, cause=Cause.CUT))


def test_one_that_was_cut_is_sent_again_even_where_it_blames_nobody():
    assert RETRIES.allows(request(), outcome(Verdict.NEUTRAL, cause=Cause.TIMEOUT))
    assert not RETRIES.allows(request("POST"), outcome(Verdict.NEUTRAL, cause=Cause.TIMEOUT))


def test_an_answer_of_a_tier_that_has_retried_is_final():
    assert not RETRIES.allows(request(), outcome(status=503, retried=True))


def test_an_answer_that_forbids_it_is_final():
    assert not RETRIES.allows(request(), outcome(status=503, final=True))


def test_the_same_endpoint_is_left_alone_for_as_long_as_it_asks():
    busy = outcome(status=503, retry_after=3.0)
    assert RETRIES.delay(2, busy, same_endpoint=True, rng=random.Random(1)) == 3.0
    assert RETRIES.delay(2, busy, same_endpoint=False, rng=random.Random(1)) <= 0.25


def test_the_methods_and_statuses_are_settings():
    mine = Retries(RetryOptions(methods=frozenset({"POST"}), statuses=frozenset({500})))
    assert mine.allows(request("POST"), outcome(status=500))
    assert not mine.allows(request("GET"), outcome(status=500))
    assert not mine.allows(request("POST"), outcome(status=503))


@given(some.integers(2, 10), some.integers(0, 2**32))
def test_the_backoff_is_full_jitter_under_a_doubling_ceiling(number, seed):
    wait = RETRIES.delay(number, outcome(status=503), same_endpoint=False, rng=random.Random(seed))
    assert 0 <= wait <= min(0.25, 0.025 * 2 ** (number - 2))


def test_the_jitter_is_spread_over_the_whole_range():
    rng = random.Random(1)
    waits = [RETRIES.delay(5, outcome(status=503), same_endpoint=False, rng=rng) for _ in range(2000)]
    assert min(waits) < 0.005
    assert max(waits) > 0.195
    assert sum(waits) / len(waits) == pytest.approx(0.1, rel=0.05)


def test_the_same_endpoint_gets_the_full_backoff():
    assert RETRIES.delay(2, outcome(status=503), same_endpoint=True, rng=random.Random(1)) == 0.25


def test_what_never_left_goes_elsewhere_at_once_the_first_time():
    unsent = outcome(cause=Cause.REFUSED, sent=False)
    assert RETRIES.delay(2, unsent, same_endpoint=False, rng=random.Random(1)) == 0.0
    assert RETRIES.delay(3, unsent, same_endpoint=False, rng=random.Random(1)) > 0.0
