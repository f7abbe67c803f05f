"""What a client makes of a refusal that is marked, and what it says of the request that its call is made for."""

from __future__ import annotations

import pytest
from world import World

from meshware.context import RequestContext
from meshware.core.availability import Bar
from meshware.core.criticality import Criticality
from meshware.core.outcome import StatusClassifier, Verdict
from meshware.outbound.exchange import answer_of, headers_for


def answered(status, **headers):
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return answer_of(status, headers, elapsed=0.01, connect=None, endless=False)


def verdict(outcome):
    return StatusClassifier().classify(None, outcome)


@pytest.mark.parametrize(("status", "reason"), [(503, "limit"), (503, "queue"), (504, "deadline"), (429, "rate")])
def test_a_refusal_is_an_overload_and_no_failure(status, reason):
    outcome = answered(status, x_meshware_refused=reason)
    assert outcome.refused
    assert verdict(outcome) is Verdict.OVERLOADED


@pytest.mark.parametrize("status", [500, 502])
def test_the_mark_excuses_no_other_failure(status):
    assert verdict(answered(status, x_meshware_refused="limit")) is Verdict.FAILURE
    assert verdict(answered(504)) is Verdict.FAILURE


def test_who_still_serves_what_matters_more_is_not_left_alone():
    assert answered(503, x_meshware_refused="sheddable", retry_after="1").retry_after is None
    assert answered(503, x_meshware_refused="limit", retry_after="1").retry_after == 1.0


def test_an_endpoint_that_refuses_is_no_step_to_ejection():
    world = World(2, retry={"attempts": 1}, limits={"enabled": False})
    for _ in range(50):
        call = world.call()
        attempt = call.begin(world.now)
        world.answer(call, attempt, 504, refused=True)
        world.read(call, attempt)
    assert not any(each.bars for each in world.endpoints)
    assert not any(Bar.EJECTED in each.bars for each in world.endpoints)


@pytest.mark.parametrize("criticality", Criticality)
def test_calls_say_how_much_their_request_matters(criticality):
    world = World(1)
    call = world.call(context=RequestContext(criticality=criticality))
    said = headers_for(call, call.begin(world.now), world.now).get("x-meshware-criticality")
    assert said == (None if criticality is Criticality.DEFAULT else criticality.value)


@pytest.mark.parametrize("text", ["-1", "", "soon", "1.5", "1" * 10, "\u0661"])
def test_a_negative_or_unreadable_push_back_forbids_a_retry(text):
    outcome = answered(503, grpc_retry_pushback_ms=text, retry_after="1")
    assert outcome.final
    assert outcome.retry_after is None


def test_a_push_back_is_a_time_in_milliseconds_and_goes_before_retry_after():
    outcome = answered(503, grpc_retry_pushback_ms="1500", retry_after="7")
    assert outcome.retry_after == 1.5
    assert not outcome.final
    assert answered(502, grpc_retry_pushback_ms="999999999").retry_after == 10.0
    assert answered(200, grpc_retry_pushback_ms="-1").final is False
