"""Match: which calls a route is for. Everything is looked at in the order of its cost, chance and the app's own
code last, and only while all before has held.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutine
from math import inf
from typing import TYPE_CHECKING, Any

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
            *_path(self.path),
            *(partial(_header, name, text) for name, text in headers.items()),
            *(partial(_query, name, Text(wanted)) for name, wanted in options.query.items()),
            *_identity(options.identity),
        )

    def holds(self, request: Request, context: Any, rng: Rng, now: float) -> bool:
        """Whether the route is for this call."""
        for condition in self._conditions:
            if not condition(request, context):
                return False
        if not self._since <= now < self._until:
            return False
        if self._share < 1.0 and rng.random() >= self._share:
            return False
        return self._predicate is None or self._asked(self._predicate, request, context)

    def _asked(self, predicate: Predicate, request: Request, context: Any) -> bool:
        try:
            said = predicate(context, request)
            if iscoroutine(said):
                said.close()
                raise TypeError("it is async, and nobody awaits it where a call is routed")
            return bool(said)
        except Exception as error:
            self._failed(error)
            return False


Condition = Callable[["Request", Any], bool]


def _method(methods: frozenset[str] | None) -> tuple[Condition, ...]:
    return () if methods is None else (lambda request, context: request.method in methods,)


def _path(path: Path | None) -> tuple[Condition, ...]:
    if path is None:
        return ()
    holds = path.holds
    return (lambda request, context: holds(request.path),)


def _header(name: str, text: Text, request: Request, context: Any) -> bool:
    return text(values.header(request, name))


def _query(name: str, text: Text, request: Request, context: Any) -> bool:
    return text(values.query(request, name))


def _identity(wanted: TextOptions | None) -> tuple[Condition, ...]:
    if wanted is None:
        return ()
    text = Text(wanted)

    def condition(request: Request, context: Any) -> bool:
        identity = None if context is None else context.identity
        return text(() if identity is None else (identity,))

    return (condition,)
