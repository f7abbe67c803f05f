"""The default classifier: what an answer says of its endpoint."""

from __future__ import annotations

import pytest
from world import request

from meshware.core.outcome import Cause, Outcome, StatusClassifier, Verdict

SUCCESS, FAILURE, OVERLOADED, NEUTRAL = Verdict.SUCCESS, Verdict.FAILURE, Verdict.OVERLOADED, Verdict.NEUTRAL


@pytest.mark.parametrize(
    ("status", "retry_after", "verdict"),
    [
        (200, None, SUCCESS),
        (101, None, SUCCESS),
        (304, None, SUCCESS),
        (404, None, SUCCESS),
        (429, None, OVERLOADED),
        (429, 1.0, OVERLOADED),
        (500, None, FAILURE),
        (500, 1.0, FAILURE),
        (503, None, FAILURE),
        (503, 1.0, OVERLOADED),
        (504, None, FAILURE),
    ],
)
def test_a_status_has_its_verdict(status, retry_after, verdict):
    outcome = Outcome(elapsed=0.1, status=status, retry_after=retry_after)
    assert StatusClassifier().classify(request(), outcome) is verdict


@pytest.mark.parametrize("cause", list(Cause))
def test_no_answer_is_a_failure_unless_the_cause_is_ours(cause):
    verdict = NEUTRAL if cause in (Cause.LOCAL, Cause.CUT) else FAILURE
    assert StatusClassifier().classify(request(), Outcome(elapsed=0.1, cause=cause)) is verdict
