"""What a request says of itself: the values of a header, a query parameter, a cookie. As they were sent, undecoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshware.core.request import Request

NONE: Sequence[str] = ()


def header(request: Request, name: str) -> Sequence[str]:
    """All values of a header; a client that keeps one string for it has one."""
    headers: Any = request.headers
    several = getattr(headers, "get_list", None)
    if several is not None:
        values: Sequence[str] = several(name)
        return values
    value = headers.get(name)
    if value is None:
        return NONE
    return (value.decode("latin-1") if isinstance(value, bytes) else value,)


def query(request: Request, name: str) -> Sequence[str]:
    """The first value of a parameter, as Envoy has it; `?flag` and `?flag=` are both there, and empty."""
    for pair in request.query.split("&") if request.query else ():
        key, _, value = pair.partition("=")
        if key == name:
            return (value,)
    return NONE


def cookie(request: Request, name: str) -> Sequence[str]:
    """The first value of a cookie."""
    for line in header(request, "cookie"):
        for pair in line.split(";"):
            key, _, value = pair.partition("=")
            if key.strip() == name:
                return (value.strip().strip('"'),)
    return NONE
