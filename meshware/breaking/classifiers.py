"""Classifiers by content: answers that say 200 and mean no.

Only what a 200 says is judged here; every other answer, and every error, by its status. What is the caller's own fault
(a query that does not parse, parameters that are wrong) is like a 4xx: nobody's failure. A body is looked at only
where it holds the word that matters, so a good answer costs one search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from meshware.breaking.contents import is_json, parsed
from meshware.core.outcome import Cause, Outcome, StatusClassifier, Verdict
from meshware.core.policy import Classifier
from meshware.core.request import Request

MOST = 65_536
"""Bytes of a body that a classifier may ask for."""

CALLERS_OWN = frozenset({
    "BAD_REQUEST", "BAD_USER_INPUT", "FORBIDDEN", "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED",
    "OPERATION_RESOLUTION_FAILURE", "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED", "UNAUTHENTICATED",
})  # fmt: skip
"""`extensions.code` of GraphQL errors (as Apollo has them) for which the caller is to blame."""

CALLERS_CODES = frozenset({-32700, -32600, -32601, -32602})
"""JSON-RPC 2.0, section 5.1: parse error, invalid request, method not found, invalid params."""

GRPC_FAILURES = frozenset({"2", "4", "13", "14", "15"})
"""UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS."""

RESOURCE_EXHAUSTED = "8"

_status = StatusClassifier().classify


class Json:
    """Judges a 200 by its JSON: `failed` says whether one answer has failed. Thread-safe: no state of its own.

    Without the `word` in the body an answer is good. A batch has failed when all of it has.
    """

    needs_body = MOST

    def __init__(self, word: bytes, failed: Callable[[Any], bool]) -> None:
        self._word, self._failed = word, failed

    def wants_body(self, outcome: Outcome) -> bool:
        """Whether this answer's body is to be read: a 200 that says it is JSON."""
        return outcome.status == 200 and is_json(_header(outcome, "content-type"))

    def classify(self, request: Request, outcome: Outcome) -> Verdict:
        """By status, and a 200 by what it says."""
        if outcome.status == 200 and self._word in outcome.body:
            said = parsed(outcome.body)
            if all(map(self._failed, said if isinstance(said, list) and said else [said])):
                return Verdict.FAILURE
        return _status(request, outcome)


def graphql_failed(said: Any) -> bool:
    """`errors` and no `data`, not all of them the caller's own: nothing was executed, or nothing came of it."""
    if not isinstance(said, dict) or said.get("data") is not None:
        return False
    errors = said.get("errors")
    return isinstance(errors, list) and bool(errors) and not all(map(_callers_own, errors))


def _callers_own(error: Any) -> bool:
    extensions = error.get("extensions") if isinstance(error, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return isinstance(code, str) and code in CALLERS_OWN


def jsonrpc_failed(said: Any) -> bool:
    """An `error` that is not the caller's own (JSON-RPC 2.0, section 5)."""
    if not isinstance(said, dict) or said.get("error") is None:
        return False
    error = said["error"]
    code = error.get("code") if isinstance(error, dict) else None
    return not (isinstance(code, int) and code in CALLERS_CODES)


class Grpc:
    """A 200 whose headers have a `grpc-status` that is the server's fault: an answer without messages."""

    needs_body = 0

    def classify(self, request: Request, outcome: Outcome) -> Verdict:
        """By status, and a 200 by its `grpc-status`."""
        code = _header(outcome, "grpc-status") if outcome.status == 200 else ""
        if code in GRPC_FAILURES:
            return Verdict.FAILURE
        return Verdict.OVERLOADED if code == RESOURCE_EXHAUSTED else _status(request, outcome)


CLASSIFIERS: dict[str, Callable[[], Classifier]] = {
    "graphql": lambda: Json(b'"errors"', graphql_failed),
    "jsonrpc": lambda: Json(b'"error"', jsonrpc_failed),
    "grpc": Grpc,
}
"""By the names that settings use."""


def _header(outcome: Outcome, name: str) -> str:
    return "" if outcome.headers is None else outcome.headers.get(name) or ""


class Judge:
    """A classifier that may be anybody's: while it raises or says nonsense, the status decides.

    `failed` is told of that. Thread-safe, if the classifier is.
    """

    def __init__(self, classifier: Any, *, failed: Callable[[Exception], None]) -> None:
        self._classify = getattr(classifier, "classify", classifier)
        self._wants: Callable[[Outcome], bool] | None = getattr(classifier, "wants_body", None)
        self._failed = failed
        self.needs_body = min(MOST, getattr(classifier, "needs_body", 0))

    def wants(self, outcome: Outcome) -> bool:
        """Whether the body of this answer is to be read before it is judged."""
        if not self.needs_body or outcome.stream:
            return False
        try:
            return self._wants is None or bool(self._wants(outcome))
        except Exception as error:
            self._failed(error)
            return False

    def classify(self, request: Request, outcome: Outcome) -> Verdict:
        """The classifier's verdict. A local cause and our own cut are never its to judge."""
        if outcome.cause is Cause.LOCAL or outcome.cause is Cause.CUT:
            return Verdict.NEUTRAL
        try:
            verdict = self._classify(request, outcome)
            if isinstance(verdict, Verdict):
                return verdict
            raise TypeError(f"a Verdict is needed, not {type(verdict).__name__}")
        except Exception as error:
            self._failed(error)
            return _status(request, outcome)
