"""What the settings of a route say, as what is made of them. A part of the assembly."""

from __future__ import annotations

import time
from datetime import datetime
from math import inf
from typing import Any

from meshware.assembly.policies import rate_of
from meshware.core.plan import Edits
from meshware.limiting.route import RouteLimiter
from meshware.routing import paths
from meshware.routing.match import MatchOptions
from meshware.routing.mirror import MirrorOptions, by_body, by_status
from meshware.routing.paths import PathOptions
from meshware.routing.split import key_of
from meshware.routing.texts import TextOptions
from meshware.settings.sections.limiting import RateSettings, RouteLimitSettings
from meshware.settings.sections.matching import MatchSettings, PathMatchSettings, TextMatchSettings
from meshware.settings.sections.rewriting import HeaderEditSettings, RewriteSettings
from meshware.settings.sections.routing import MirrorSettings, RouteSettings, StickySettings


def limiter_of(route: str, settings: tuple[RouteLimitSettings | None, RateSettings | None]) -> RouteLimiter:
    """The limits that a route has of its own, on calls in flight and on their rate."""
    limits, rate = settings
    return RouteLimiter(route, None if limits is None else limits.in_flight, rate_of(rate))


def mirror_options(settings: MirrorSettings) -> MirrorOptions:
    """What of which calls a mirror copies."""
    named = {"status": by_status, "body": by_body, None: None}
    own = settings.compare not in named
    return MirrorOptions(
        share=settings.percentage / 100,
        without=frozenset(settings.without),
        host=settings.host,
        max_body=settings.max_body,
        max_answer=settings.max_answer,
        waiting=settings.waiting,
        compare=settings.compare if own else named[settings.compare],
        reads=own or settings.compare == "body",
    )


def match_options(settings: MatchSettings, now: float) -> MatchOptions:
    """Which calls a route is for; its times by the clock that `now` is of."""
    return MatchOptions(
        methods=None if settings.methods is None else frozenset(settings.methods),
        path=None if settings.path is None else PathOptions(**_fields(settings.path)),
        headers={name: _text(each) for name, each in settings.headers.items()},
        query={name: _text(each) for name, each in settings.query.items()},
        identity=None if settings.identity is None else _text(settings.identity),
        share=settings.percentage / 100,
        since=_monotonic(settings.since, now, -inf),
        until=_monotonic(settings.until, now, inf),
        predicate=settings.predicate,
    )


def _fields(settings: PathMatchSettings | TextMatchSettings) -> dict[str, Any]:
    """As they stand: a pattern is one, not its text."""
    return {name: getattr(settings, name) for name in type(settings).model_fields}


def _text(settings: TextMatchSettings) -> TextOptions:
    return TextOptions(**_fields(settings))


def _monotonic(moment: datetime | None, now: float, otherwise: float) -> float:
    return otherwise if moment is None else now + moment.timestamp() - time.time()


def sticky_key(settings: StickySettings | None) -> Any:
    """What keeps a caller at one side of a split; None: nothing."""
    for kind in ("header", "cookie", "attribute"):
        name = None if settings is None else getattr(settings, kind)
        if name is not None:
            return key_of(kind, name)
    return None


def rewrite_of(settings: RewriteSettings | None, path: PathMatchSettings | None) -> paths.Rewrite | None:
    """What becomes of the path; None: nothing."""
    if settings is None or not settings.path:
        return None
    if settings.prefix is not None:
        assert path is not None
        return paths.by_prefix(path.prefix or path.separated_prefix or "", settings.prefix)
    if settings.template is not None:
        return paths.by_template(None if path is None else path.template, settings.template)
    assert settings.regex is not None
    return paths.by_regex(settings.regex.pattern, settings.regex.to)


def edits_of(settings: RouteSettings) -> Edits | None:
    """What becomes of the request's headers, the host among them."""
    edits = header_edits(settings.request_headers)
    host = None if settings.rewrite is None else settings.rewrite.host
    if host is None:
        return edits
    edits = edits or Edits()
    return Edits({**edits.set, "host": host}, edits.add, edits.remove)


def header_edits(settings: HeaderEditSettings | None) -> Edits | None:
    """What becomes of the headers; None: nothing."""
    return None if settings is None else Edits(settings.set, settings.add, frozenset(settings.remove))
