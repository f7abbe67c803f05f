"""`retry.on`: after what a call is sent again, in Envoy's words."""

from __future__ import annotations

import pytest
from settings.refusing import one_service, refusal
from world import World, request

from meshware.core.outcome import CONNECTION, Cause, Outcome, Verdict

FACTS = {
    "connect": {"cause": Cause.REFUSED, "sent": False},
    "unsent": {"cause": Cause.RESET, "sent": False},
    "reset": {"cause": Cause.RESET},
    "late": {"cause": Cause.TIMEOUT},
    "429": {"status": 429},
    "500": {"status": 500},
    "502": {"status": 502},
    "504": {"status": 504},
    "marked": {"status": 500, "headers": {"x-again": "1"}},
}
NO_ANSWER = {"connect", "unsent", "reset", "late"}


def allowed(method="GET", **retry):
    policy = World(retry=retry).service.retry
    return {name for name, facts in FACTS.items() if policy.allows(request(method), failed(**facts))}


def failed(**facts):
    made = Outcome(elapsed=0.1, **facts)
    made.verdict = Verdict.FAILURE
    return made


@pytest.mark.parametrize(
    ("condition", "again"),
    [
        ("5xx", NO_ANSWER | {"500", "502", "504", "marked"}),
        ("gateway-error", {"502", "504"}),
        ("connect-failure", {"connect"}),
        ("reset", {"unsent", "reset", "late"}),
        ("reset-before-request", {"unsent"}),
        ("retriable-status-codes", {"429", "502", "504"}),
    ],
)
def test_each_condition_is_what_envoy_calls_so(condition, again):
    assert allowed(on=[condition]) == again


def test_headers_mark_what_is_tried_elsewhere():
    assert allowed(on=["retriable-headers"], headers=["X-Again"]) == {"marked"}


def test_the_default_is_no_connection_no_answer_and_the_statuses():
    assert allowed() == NO_ANSWER | {"429", "502", "504"}
    assert allowed(on=[]) == set()


def test_what_may_have_happened_is_not_sent_again_whatever_the_conditions_say():
    everything = ["5xx", "gateway-error", "reset", "retriable-status-codes", "retriable-headers"]
    assert allowed("POST", on=everything, headers=["x-again"]) == {"connect", "unsent"}


def test_who_is_not_sent_again_when_late_is_not_cut_early():
    assert not World(retry={"on": ["gateway-error"]}).service.retry.retryable(request())
    assert Cause.REFUSED in CONNECTION


def test_nonsense_is_refused_with_the_nearest_right_name():
    (problem,) = refusal(one_service(retry={"on": ["gateway-eror"]}))
    assert problem.path == "services.shop.retry.on[0]"
    assert problem.nearest == "gateway-error"


@pytest.mark.parametrize(
    "retry",
    [
        {"on": ["retriable-headers"]},
        {"headers": ["x-again"]},
        {"on": ["5xx"], "statuses": [500]},
    ],
)
def test_what_would_do_nothing_is_refused(retry):
    (problem,) = refusal(one_service(retry=retry))
    assert "retry" in problem.path
