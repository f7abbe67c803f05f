"""Request: what the core knows of an outbound call, whichever client makes it."""

from __future__ import annotations

import re
from collections.abc import Mapping

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
"""Methods that may be sent again after bytes may have arrived (RFC 9110 section 9.2.2, less TRACE)."""

TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
"""What a header or a method may be called (RFC 9110 section 5.6.2), as a pattern."""

_VARIABLE = re.compile(
    r"\d+|[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|.{21,}", re.ASCII
)


class Request:
    """One outbound request by its logical name. Headers are a read-only view of the client's own.

    `query` is what follows the `?`; `replayable` tells that the body can be sent again from its start; `streamed` that
    the caller reads the answer piece by piece; `timeout` is the caller's own total limit in seconds, or None; `name` is
    an operation name in force (`meshware.operation`), which stands for the path.
    """

    __slots__ = ("authority", "headers", "method", "name", "path", "query", "replayable", "streamed", "timeout")

    def __init__(
        self,
        method: str,
        authority: str,
        path: str,
        headers: Mapping[str, str | bytes],
        *,
        query: str = "",
        replayable: bool = True,
        streamed: bool = False,
        timeout: float | None = None,
        name: str | None = None,
    ) -> None:
        self.method = method.upper()
        self.authority = authority
        self.path = path
        self.query = query
        self.headers = headers
        self.replayable = replayable
        self.streamed = streamed
        self.timeout = timeout
        self.name = name

    @property
    def target(self) -> str:
        """What goes out in the request's first line."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def at(self, authority: str, path: str, *, name: str | None = None) -> Request:
        """The same request to another service, or at another path; `name` where its operation has none yet."""
        made = object.__new__(Request)
        made.method, made.authority, made.path, made.query = self.method, authority, path, self.query
        made.headers, made.replayable, made.streamed = self.headers, self.replayable, self.streamed
        made.timeout, made.name = self.timeout, self.name or name
        return made

    @property
    def keyed(self) -> bool:
        """Whether the caller gave an Idempotency-Key, and so said that sending twice does no harm."""
        return "Idempotency-Key" in self.headers

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.authority}{self.path}>"


def operation_of(method: str, path: str) -> str:
    """Method and path with variable segments (digits, UUIDs, over 20 characters) as `*`, at most 4 of them."""
    segments = [segment for segment in path.partition("?")[0].split("/") if segment][:4]
    return f"{method} /" + "/".join("*" if _VARIABLE.fullmatch(each) else each for each in segments)
