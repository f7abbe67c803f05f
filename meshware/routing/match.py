"""Match: which calls a route is for. Everything is looked at in the order of its cost, chance and the app's own
code last, and only while all before has held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutine
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.routing import values
from meshware.routing.paths import Path, PathOptions
from meshware.routing.texts import Text, TextOptions

if TYPE_CHECKING:
    from meshware.core.policy import Rng
    from meshware.core.request import Request

Predicate = Callable[[Any, "Request"], object]


@dataclass(frozen=True, slots=True)
class MatchOptions:
    """What all has to hold; what is not said always does. `since` and `until` in monotonic seconds."""

    methods: frozenset[str] | None = None
    path: PathOptions | None = None
    headers: Mapping[str, TextOptions] = field(default_factory=dict)
    query: Mapping[str, TextOptions] = field(default_factory=dict)
    identity: TextOptions | None = None
    share: float = 1.0
    since: float = -inf
    until: float = inf
    predicate: Predicate | None = None


class Match:
    """Compiled once; immutable, so thread-safe.

    `path` and `exact_headers` are for an index: a call must have that path, and each of these headers with its value.
    `failed` is told when the predicate raises, which is no match.
    """

    __slots__ = ("_conditions", "_failed", "_predicate", "_share", "_since", "_until", "exact_headers", "path")

    def __init__(self, options: MatchOptions, *, failed: Callable[[Exception], None]) -> None:
        self.path = None if options.path is None else Path(options.path)
        self._since, self._until, self._share = options.since, options.until, options.share
        self._predicate, self._failed = options.predicate, failed
        headers = {name: Text(wanted) for name, wanted in options.headers.items()}
        self.exact_headers = {name: each.exact for name, each in headers.items() if each.exact is not None}
        self._conditions: tuple[Condition, ...] = (
            *_method(options.methods),
            *(() if self.path is None else (Condition("path", options.path, _path, self.path.holds),)),
            *(
                Condition(f"header {name}", options.headers[name], partial(_header, name), text)
                for name, text in headers.items()
            ),
            *(
                Condition(f"query {name}", wanted, partial(_query, name), Text(wanted))
                for name, wanted in options.query.items()
            ),
            *(() if options.identity is None else (_identity(options.identity),)),
        )

    def unmet(
        self, request: Request, context: Any, rng: Rng, now: float, *, failed: Callable[[Exception], None] | None = None
    ) -> Condition | None:
        """What speaks against this route for this call, the first of it; None: it is for it.

        `failed` is told in place of the match's own when the predicate raises.
        """
        for condition in self._conditions:
            if not condition.holds(condition.seen(request, context)):
                return condition
        if not self._since <= now < self._until:
            return Condition(TIME, None, _unseen, bool)
        if self._share < 1.0 and rng.random() >= self._share:
            return Condition(CHANCE, f"under {100 * self._share:g}", _unseen, bool)
        if self._predicate is None or self._asked(self._predicate, request, context, failed or self._failed):
            return None
        return Condition(PREDICATE, getattr(self._predicate, "__qualname__", self._predicate), _unseen, bool)

    @staticmethod
    def _asked(predicate: Predicate, request: Request, context: Any, failed: Callable[[Exception], None]) -> bool:
        try:
            said = predicate(context, request)
            if iscoroutine(said):
                said.close()
                raise TypeError("it is async, and nobody awaits it where a call is routed")
            return bool(said)
        except Exception as error:
            failed(error)
            return False


class Condition(NamedTuple):
    """What has to hold of one thing of a call: its name, what it is to be, how it is seen, and whether that is so."""

    name: str
    wanted: Any
    seen: Callable[[Request, Any], Any]
    holds: Callable[[Any], bool]


TIME, CHANCE, PREDICATE = "time", "percentage", "predicate"
"""Conditions of nothing that the call shows."""


def _unseen(request: Request, context: Any) -> None:
    return None


def _method(methods: frozenset[str] | None) -> tuple[Condition, ...]:
    if methods is None:
        return ()
    return (
        Condition(
            "method", " or ".join(sorted(methods)), lambda request, context: request.method, methods.__contains__
        ),
    )


def _path(request: Request, context: Any) -> str:
    return request.path


def _header(name: str, request: Request, context: Any) -> Sequence[str]:
    return values.header(request, name)


def _query(name: str, request: Request, context: Any) -> Sequence[str]:
    return values.query(request, name)


def _identity(wanted: TextOptions) -> Condition:
    def seen(request: Request, context: Any) -> Sequence[str]:
        identity = None if context is None else context.identity
        return () if identity is None else (identity,)

    return Condition("identity", wanted, seen, Text(wanted))
