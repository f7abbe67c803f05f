"""What HTTP says of keeping an answer (RFC 9111, and RFC 5861 of stale-if-error). Plain questions, no state."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

Fields = Mapping[str, str | bytes]
"""Headers as any client has them: names in any case, several values joined by commas."""

METHODS = frozenset({"GET", "HEAD"})
STATUSES = frozenset({200, 203, 204, 300, 301, 404, 410})
"""Final answers that mean the same without the request's other details (RFC 9110, 15.1); 206 is a part only."""

FOREVER_FRESH = frozenset({"no-cache", "must-revalidate", "proxy-revalidate"})
"""Directives of an answer that is never to be used once it is stale (RFC 9111, 4.2.4)."""

CREDENTIALS = ("authorization", "cookie")
"""What an answer may depend on without saying so."""

_DROPPED = frozenset({
    "age", "connection", "content-length", "keep-alive", "proxy-authenticate", "proxy-connection", "set-cookie", "te",
    "trailer", "transfer-encoding", "upgrade",
})  # fmt: skip
"""Headers of one connection, one moment or one user: not shown again (RFC 9110, 7.6.1)."""


def text(value: str | bytes | None) -> str:
    """A header's value; empty when it is not there."""
    return "" if value is None else value if isinstance(value, str) else value.decode("latin-1")


def directives(value: str | bytes | None) -> dict[str, str]:
    """`Cache-Control` by its directives' names, with their arguments. Never raises."""
    found = {}
    for part in text(value).split(","):
        name, _, argument = part.strip().partition("=")
        if name:
            found[name.strip().lower()] = argument.strip().strip('"')
    return found


def askable(method: str, headers: Fields, *, private: bool) -> bool:
    """Whether an answer to this request may be kept, or one that was kept be its answer."""
    if method not in METHODS or "range" in headers:
        return False
    if not private and any(name in headers for name in CREDENTIALS):
        return False
    return directives(headers.get("cache-control")).keys().isdisjoint({"no-store", "no-cache"})


def keepable(status: int, headers: Fields, *, private: bool) -> bool:
    """Whether this answer may be kept for the time when there is none."""
    said = directives(headers.get("cache-control"))
    if status not in STATUSES or "no-store" in said or not FOREVER_FRESH.isdisjoint(said):
        return False
    if not private and ("private" in said or "set-cookie" in headers):
        return False
    return "*" not in varying(headers)


def varying(headers: Fields) -> tuple[str, ...]:
    """Names of the request's headers that chose this answer; an encoded one was chosen by what was accepted."""
    names = {name.strip().lower() for name in text(headers.get("vary")).split(",")} - {""}
    return tuple(sorted(names | ({"accept-encoding"} if "content-encoding" in headers else set())))


def longest(headers: Fields) -> float:
    """Seconds for which the answer itself allows that it is used after errors; for ever when it does not say."""
    said = directives(headers.get("cache-control"))
    stale = _seconds(said.get("stale-if-error"))
    return inf if stale is None else stale + (_seconds(said.get("max-age")) or 0.0)


def shown(headers: Fields, *, decoded: bool) -> tuple[tuple[str, str], ...]:
    """Its headers as they are shown later; `decoded`: so is the body that is kept."""
    left_out = _DROPPED | ({"content-encoding"} if decoded else set())
    return tuple((name, text(value)) for name, value in headers.items() if name.lower() not in left_out)


def _seconds(argument: str | None) -> float | None:
    return float(argument) if argument and argument.isascii() and argument.isdigit() and len(argument) < 10 else None
