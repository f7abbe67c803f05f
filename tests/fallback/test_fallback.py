"""Which ends of a call are covered, and what counts as an answer."""

from __future__ import annotations

import pytest
from world import NAME, World, request

from meshware.core import errors
from meshware.core.outcome import Outcome, Verdict
from meshware.core.reply import Reply
from meshware.fallback.fallback import Fallback, FallbackOptions, reply_of
from meshware.settings.load import load

ERRORS = [
    errors.DeadlineExceeded(NAME, 1.0, 1),
    errors.NoEndpoint(NAME, {}),
    errors.CircuitOpen(NAME, 1.0, 1.0),
    errors.Overloaded(NAME, "full"),
    ConnectionError("reset"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda each: type(each).__name__)
def test_errors_of_the_call_are_covered(error):
    assert Fallback(FallbackOptions()).covers_error(request(), error)
    assert not Fallback(FallbackOptions(errors=False)).covers_error(request(), error)
    assert not Fallback(FallbackOptions()).covers_error(request("POST"), error)
    assert Fallback(FallbackOptions(methods=frozenset({"POST"}))).covers_error(request("POST"), error)


def test_what_the_developer_must_mend_is_not_covered():
    assert not Fallback(FallbackOptions()).covers_error(request(), errors.InsecureService(NAME))


def covered(status, verdict=Verdict.FAILURE, method="GET", **options):
    outcome = Outcome(elapsed=0.1, status=status)
    outcome.verdict = verdict
    return Fallback(FallbackOptions(**options)).covers_answer(request(method), outcome)


def test_statuses_are_covered_as_set():
    assert [status for status in (404, 429, 500, 502, 503, 504) if covered(status)] == [502, 503, 504]
    assert covered(503, Verdict.OVERLOADED)
    assert not covered(503, method="POST")
    assert covered(404, Verdict.SUCCESS, statuses=frozenset({404}))


def test_an_answer_that_says_200_and_was_judged_a_failure_is_covered():
    assert covered(200, Verdict.FAILURE)
    assert not covered(200, Verdict.SUCCESS)
    assert not covered(200, Verdict.FAILURE, method="POST")
    assert not covered(None)


@pytest.mark.parametrize(
    ("value", "body", "kind"),
    [
        ("text", b"text", "text/plain; charset=utf-8"),
        ({"items": []}, b'{"items": []}', "application/json"),
        ([], b"[]", "application/json"),
        (b"raw", b"raw", None),
    ],
)
def test_what_a_function_gives_is_the_body_of_a_200(value, body, kind):
    reply = Fallback.made(value)
    assert (reply.status, reply.body, reply.source) == (200, body, "callable")
    assert dict(reply.headers).get("content-type") == kind


def test_a_function_may_give_a_whole_reply_or_none():
    assert Fallback.made(None) is None
    assert Fallback.made(Reply(418, (("X-A", "1"),), b"tea", "")) == Reply(418, (("X-A", "1"),), b"tea", "callable")
    with pytest.raises(TypeError):
        Fallback.made(object())


def test_a_static_answer_keeps_its_own_content_type():
    headers = {"Content-Type": "text/html"}
    assert reply_of(200, headers, "<p>", "static").headers == (("Content-Type", "text/html"),)
    assert reply_of(204, {}, None, "static") == Reply(204, (), b"", "static")


def hello(request, failure, context):
    return "hello"


def test_the_settings_make_it():
    service = World(
        fallback={
            "last_good": {"age": 5, "private": True},
            "callable": f"{__name__}:hello" if "." not in __name__ else hello,
            "static": {"status": 203, "body": [1]},
            "statuses": [500],
            "errors": False,
            "methods": ["post"],
        }
    ).service
    fallback = service.fallback
    assert fallback.store.until({}, 0.0) == 5.0
    assert fallback.function(None, None, None) == "hello"
    assert fallback.static == Reply(203, (("content-type", "application/json"),), b"[1]", "static")
    assert fallback.covers_answer(request("POST"), Outcome(elapsed=0.1, status=500))
    assert not fallback.covers_error(request("POST"), ConnectionError())


def test_there_is_none_unless_it_is_set():
    assert World().service.fallback is None


def settings(**fallback):
    return {"services": {NAME: {"endpoints": ["10.0.0.1:80"], "fallback": fallback}}}


@pytest.mark.parametrize(
    ("fallback", "path", "words"),
    [
        ({}, "fallback", "needs `last_good`, `callable` or `static`"),
        ({"last_good": False}, "fallback", "needs `last_good`, `callable` or `static`"),
        ({"callable": "os:nothing"}, "fallback.callable", "a function"),
        ({"callable": "os"}, "fallback.callable", "a function"),
        ({"callable": "no.such.module:items"}, "fallback.callable", "can be imported"),
        ({"static": {"body": {1, 2}}}, "fallback.static", "what JSON can say"),
        ({"static": {"headers": {"X A": "1"}}}, "fallback.static.headers", "no header's name"),
        ({"static": {"headers": {"X-A": "1\r\nX-B: 2"}}}, "fallback.static.headers", "one line of latin-1"),
        ({"static": {"status": 100}}, "fallback.static.status", "200"),
        ({"static": {}, "statuses": [200]}, "fallback.statuses[0]", "400"),
    ],
)
def test_a_fallback_that_cannot_be_is_refused(fallback, path, words):
    with pytest.raises(errors.SettingsError) as refused:
        load(settings(**fallback))
    (problem,) = refused.value.problems
    assert problem.path == f"services.{NAME}.{path}"
    assert words in str(problem)


def test_a_services_fallback_is_laid_over_the_defaults_key_by_key():
    source = settings(last_good=True)
    source["defaults"] = {"fallback": {"static": {"body": "sorry"}, "statuses": [500]}}
    fallback = load(source).services[NAME].fallback
    assert fallback.static.body == "sorry"
    assert fallback.last_good is not None
    assert fallback.statuses == (500,)
    source["services"][NAME]["fallback"] = None
    assert load(source).services[NAME].fallback is None
