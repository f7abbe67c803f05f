"""A plain request on a connection of urllib3's that is there, and its answer: written and read in a few steps.

urllib3 and http.client take some eighty for it, of which each costs a microsecond in a process that does other things
between (docs/decisions/0024-what-a-call-costs.md). What is not plain is left to them: a body that is not at hand, a
header that they would have to add or refuse, an old protocol; and everything, while somebody has put something in the
place of a step of theirs, to see what goes out.
"""

from __future__ import annotations

import http.client
import re
from types import FunctionType
from typing import Any

import urllib3.connection
from urllib3 import HTTPResponse
from urllib3.exceptions import HeaderParsingError

from meshware.outbound import heads
from meshware.outbound.wire import WireResponse

_urllib3: Any = urllib3.connection

BODILESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
"""Methods of which a request without a body says nothing of its length."""

ADDED = frozenset({"accept-encoding", "user-agent"})
"""Headers that urllib3 adds where they are missing."""

SMALL = 16_384
"""Bytes of a body up to which it goes out together with its head."""

_name = re.compile(r"[0-9A-Za-z_.-]+").fullmatch
_first_line = re.compile(r"[A-Z]+ /[!-~]* HTTP/1\.1").fullmatch


def _steps() -> tuple[Any, ...]:
    """What sees a request go out, and its answer come."""
    one: Any = _urllib3.HTTPConnection
    other: Any = http.client.HTTPConnection
    return (
        one.request, one.putrequest, one.putheader, one.getresponse,
        other.putrequest, other.putheader, other.endheaders, other.send, other.getresponse,
    )  # fmt: skip


def _libraries_own(step: Any) -> bool:
    return type(step) is FunctionType and step.__globals__["__name__"] in ("urllib3.connection", "http.client")


_THEIRS = _steps() if all(map(_libraries_own, _steps())) else ()


def request_of(
    connection: Any, method: str, url: str, body: Any, headers: Any, options: dict[str, Any]
) -> bytes | None:
    """All that goes out; None where it is not plain."""
    first = f"{method} {url} {connection._http_vsn_str}"
    lines = heads.written(headers)
    if lines is None or _first_line(first) is None or connection.debuglevel or _steps() != _THEIRS:
        return None
    names = set(map(str.lower, headers))
    if not names >= ADDED or "transfer-encoding" in names or options["chunked"]:
        return None
    if "content-length" not in names and (body is not None or method not in BODILESS):
        return None
    if body is not None and (type(body) is not bytes or len(body) > SMALL):
        return None
    if "host" not in names:
        if _name(connection.host) is None:
            return None
        port = "" if connection.port == connection.default_port else f":{connection.port}"
        first = f"{first}\r\nHost: {connection.host}{port}"
    return b"%b\r\n%b\r\n\r\n%b" % (first.encode(), lines, body or b"")


def answer_of(connection: Any, method: str, url: str, options: dict[str, Any]) -> HTTPResponse:
    """The answer, once its head is there, as urllib3 makes it. Raises what http.client does."""
    shutdown = getattr(connection.sock, "shutdown", None)
    answer = WireResponse(connection.sock, method=method)
    try:
        _begin(connection, answer)
    except BaseException:
        answer.close()
        raise
    if type(answer.msg) is not heads.Ordinary:
        _look_at(connection, url, answer.msg)
    return HTTPResponse(
        body=answer,
        headers=heads.gathered(answer.msg),
        status=answer.status,
        version=answer.version,
        version_string=connection._http_vsn_str,
        reason=answer.reason,
        preload_content=options["preload_content"],
        decode_content=options["decode_content"],
        original_response=answer,
        enforce_content_length=options["enforce_content_length"],
        request_method=method,
        request_url=url,
        sock_shutdown=shutdown,
    )


def _begin(connection: Any, answer: WireResponse) -> None:
    try:
        answer.begin()
    except ConnectionError:
        connection.close()
        raise
    if answer.will_close:  # from now on it is the answer's
        connection.close()


def _look_at(connection: Any, url: str, message: http.client.HTTPMessage) -> None:
    """Say what is wrong with these headers."""
    try:
        _urllib3.assert_header_parsing(message)
    except (HeaderParsingError, TypeError) as error:
        where = _urllib3._url_from_connection(connection, url)
        _urllib3.log.warning("Failed to parse headers (url=%s): %s", where, error, exc_info=True)
