"""Fallback: whether a call's end is covered, and by what. It decides; the doors ask the user's function and answer.

The order is from the best to the plainest: the last good answer, what the function makes, the static one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshware.core.errors import CircuitOpen, DeadlineExceeded, MeshError, NoEndpoint, Overloaded
from meshware.core.outcome import Outcome, Verdict
from meshware.core.reply import Reply

if TYPE_CHECKING:
    from meshware.core.request import Request
    from meshware.fallback.last_good import LastGood

_BAD = (Verdict.FAILURE, Verdict.OVERLOADED)

COVERED = (DeadlineExceeded, NoEndpoint, CircuitOpen, Overloaded)
"""Errors of ours that a fallback stands in for; others tell the developer what to mend."""


@dataclass(frozen=True, slots=True)
class FallbackOptions:
    """Which ends are covered: of calls by these methods, answers with these statuses, and errors."""

    statuses: frozenset[int] = frozenset({502, 503, 504})
    errors: bool = True
    methods: frozenset[str] = frozenset({"GET", "HEAD"})


class Fallback:
    """What stands in for a service's failed calls. Thread-safe.

    `function(request, failure, context)` is the user's own: it gives a body, a `Reply`, or None for none. The mesh
    learns of the failure as if there were no fallback.
    """

    def __init__(
        self,
        options: FallbackOptions,
        *,
        store: LastGood | None = None,
        function: Callable[..., Any] | None = None,
        static: Reply | None = None,
    ) -> None:
        self._options = options
        self.store = store
        self.function = function
        self.static = static

    def covers_error(self, request: Request, error: BaseException) -> bool:
        """Whether a call that ended in this error, the client's or ours, may be answered otherwise."""
        ours_to_mend = isinstance(error, MeshError) and not isinstance(error, COVERED)
        return self._options.errors and request.method in self._options.methods and not ours_to_mend

    def covers_answer(self, request: Request, outcome: Outcome) -> bool:
        """Whether this final answer may be replaced: by its status, or since it says 200 and was judged a failure."""
        status = outcome.status
        judged = status is not None and status < 400 and outcome.verdict in _BAD
        return (judged or status in self._options.statuses) and request.method in self._options.methods

    def kept(self, request: Request, url: str, now: float) -> Reply | None:
        """The last good answer, if any is kept."""
        return None if self.store is None else self.store.find(request, url, now)

    @staticmethod
    def made(value: Any) -> Reply | None:
        """What the user's function has given, as a reply. Raises TypeError for what is none."""
        if value is None:
            return None
        if isinstance(value, Reply):
            return value._replace(source="callable")
        return reply_of(200, {}, value, "callable")


def reply_of(status: int, headers: Mapping[str, str], body: Any, source: str) -> Reply:
    """A reply with this body: text as it is, bytes too, None for none, anything else as JSON."""
    kind: str | None = None
    if body is None:
        content = b""
    elif isinstance(body, bytes | bytearray):
        content = bytes(body)
    elif isinstance(body, str):
        content, kind = body.encode(), "text/plain; charset=utf-8"
    else:
        content, kind = json.dumps(body).encode(), "application/json"
    given = tuple(headers.items())
    if kind is not None and "content-type" not in {name.lower() for name in headers}:
        given = (*given, ("content-type", kind))
    return Reply(status, given, content, source)
