"""Classifiers by content: answers that say 200 and mean no, and bodies that mean harm."""

from __future__ import annotations

import json
import random

import pytest
from world import request

from meshware.breaking.classifiers import CLASSIFIERS, MOST, Judge
from meshware.breaking.contents import DEEPEST, is_json, parsed
from meshware.core.outcome import Cause, Outcome, Verdict

JSON = {"content-type": "application/json; charset=utf-8"}


def said(body, *, status=200, headers=JSON, **facts):
    outcome = Outcome(elapsed=0.1, status=status, headers=headers, **facts)
    outcome.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return outcome


def verdict(name, body=b"", **facts):
    return CLASSIFIERS[name]().classify(request("POST"), said(body, **facts))


ERROR = {"message": "boom"}
CALLERS = {"message": "no such field", "extensions": {"code": "GRAPHQL_VALIDATION_FAILED"}}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"errors": [ERROR]}, Verdict.FAILURE),
        ({"errors": [ERROR], "data": None}, Verdict.FAILURE),
        ([{"errors": [ERROR]}, {"errors": [ERROR]}], Verdict.FAILURE),
        ({"errors": [ERROR, CALLERS]}, Verdict.FAILURE),
        ({"errors": ["what"]}, Verdict.FAILURE),
        ({"errors": [{"extensions": {"code": ["BAD_USER_INPUT"]}}]}, Verdict.FAILURE),
        ({"errors": [ERROR], "data": {"items": []}}, Verdict.SUCCESS),
        ({"data": {"items": []}}, Verdict.SUCCESS),
        ({"data": {"errors": ["text"]}}, Verdict.SUCCESS),
        ({"errors": []}, Verdict.SUCCESS),
        ({"errors": "boom"}, Verdict.SUCCESS),
        ({"errors": [CALLERS]}, Verdict.SUCCESS),
        ([{"errors": [ERROR]}, {"data": {}}], Verdict.SUCCESS),
        ([], Verdict.SUCCESS),
        (b'{"errors": [', Verdict.SUCCESS),
        (b'"errors"', Verdict.SUCCESS),
        (b"", Verdict.SUCCESS),
    ],
)
def test_a_graphql_answer_with_errors_and_no_data_is_a_failure(body, expected):
    assert verdict("graphql", body) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "Internal error"}}, Verdict.FAILURE),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": 17}}, Verdict.FAILURE),
        ({"error": "boom"}, Verdict.FAILURE),
        ([{"error": {"code": 1}}], Verdict.FAILURE),
        ({"id": 1, "error": {"code": -32601, "message": "Method not found"}}, Verdict.SUCCESS),
        ({"id": 1, "error": None, "result": 2}, Verdict.SUCCESS),
        ({"id": 1, "result": {"error": "text"}}, Verdict.SUCCESS),
        ([{"error": {"code": 1}}, {"result": 1}], Verdict.SUCCESS),
        (b'"error"', Verdict.SUCCESS),
    ],
)
def test_a_json_rpc_answer_with_an_error_is_a_failure(body, expected):
    assert verdict("jsonrpc", body) is expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [("0", Verdict.SUCCESS), ("14", Verdict.FAILURE), ("5", Verdict.SUCCESS), ("8", Verdict.OVERLOADED)],
)
def test_a_grpc_status_in_the_headers_is_the_verdict(code, expected):
    assert verdict("grpc", headers={"grpc-status": code}) is expected
    assert verdict("grpc", headers={"grpc-status": code}, status=503) is Verdict.FAILURE
    assert verdict("grpc", headers={}) is Verdict.SUCCESS
    assert verdict("grpc", headers=None) is Verdict.SUCCESS


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(
    ("status", "expected"), [(404, Verdict.SUCCESS), (429, Verdict.OVERLOADED), (500, Verdict.FAILURE)]
)
def test_every_other_answer_is_judged_by_its_status(name, status, expected):
    assert verdict(name, {"errors": [ERROR], "error": ERROR}, status=status) is expected


def test_only_bodies_that_say_they_are_json_are_read():
    graphql = CLASSIFIERS["graphql"]()
    assert graphql.wants_body(said(b""))
    assert graphql.wants_body(said(b"", headers={"content-type": "application/graphql-response+json"}))
    for headers in ({"content-type": "text/html"}, {}, None):
        assert not graphql.wants_body(said(b"", headers=headers))
    assert not graphql.wants_body(said(b"", status=500))
    assert not is_json("")


# Bodies that mean harm


@pytest.mark.parametrize(
    "body",
    [
        b"[" * MOST,
        b'{"a":' * (MOST // 5),
        b'{"errors":' + b"[" * 60_000 + b"]" * 5_000,
        b'{"errors": [' + b"9" * 60_000 + b"]}",
        b'{"errors": ["\xff\xfe"]}',
        b'{"errors": ["\\ud800"]}',
        b'{"errors": [1e999999]}',
        b'"' + b"\\" * 60_000,
        b"\x00" * MOST,
        b"NaN",
    ],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize("name", ["graphql", "jsonrpc"])
def test_no_body_raises(name, body):
    assert isinstance(verdict(name, body), Verdict)


def test_what_is_nested_too_deeply_is_not_looked_into():
    assert parsed(b"[" * DEEPEST + b"]" * DEEPEST) is not None
    assert parsed(b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1)) is None
    assert parsed(json.dumps(["[[[{" * 50] * 100 + [{}] * 100).encode()) is not None


def test_no_bytes_raise():
    rng = random.Random(7)
    pieces = [b'{"errors":[', b'"error"', b"]", b"}", b"[", b"{", b'"', b"\\", b":", b",", b"1", b"null", b"\xff", b" "]
    for _ in range(3000):
        body = b"".join(rng.choices(pieces, k=rng.randrange(1, 120)))
        for name in ("graphql", "jsonrpc"):
            assert isinstance(verdict(name, body), Verdict)


# The user's own


class Mine:
    needs_body = 100

    def __init__(self, does):
        self.does = does

    def classify(self, request, outcome):
        return self.does(outcome)


@pytest.fixture
def told():
    return []


def judge(does, told):
    return Judge(Mine(does), failed=told.append)


def test_a_classifier_of_ones_own_decides(told):
    judged = judge(lambda outcome: Verdict.FAILURE if b"sorry" in outcome.body else Verdict.SUCCESS, told)
    assert judged.classify(request(), said(b"sorry")) is Verdict.FAILURE
    assert judged.classify(request(), said(b"fine", status=500)) is Verdict.SUCCESS
    assert (judged.needs_body, told) == (100, [])


def test_while_it_raises_or_says_nonsense_the_status_decides(told):
    assert judge(lambda outcome: 1 / 0, told).classify(request(), said(b"", status=500)) is Verdict.FAILURE
    assert judge(lambda outcome: "failure", told).classify(request(), said(b"")) is Verdict.SUCCESS
    assert [str(each) for each in told] == ["division by zero", "a Verdict is needed, not str"]


@pytest.mark.parametrize("cause", [Cause.LOCAL, Cause.CUT])
def test_what_is_our_own_doing_is_never_its_to_judge(cause, told):
    outcome = Outcome(elapsed=0.1, cause=cause)
    assert judge(lambda outcome: Verdict.FAILURE, told).classify(request(), outcome) is Verdict.NEUTRAL


def test_a_function_is_a_classifier_that_needs_no_body(told):
    judged = Judge(lambda request, outcome: Verdict.NEUTRAL, failed=told.append)
    assert judged.classify(request(), said(b"")) is Verdict.NEUTRAL
    assert not judged.wants(said(b""))


def test_bodies_are_read_where_it_wants_them_and_never_of_streams(told):
    mine = Mine(None)
    judged = Judge(mine, failed=told.append)
    assert judged.wants(said(b""))
    assert not judged.wants(said(b"", stream=True))
    mine.wants_body = lambda outcome: 1 / 0
    assert not Judge(mine, failed=told.append).wants(said(b""))
    assert len(told) == 1
