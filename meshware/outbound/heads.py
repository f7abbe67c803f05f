"""The head of an answer, read as http.client and urllib3 read it, in a sixth of the time.

http.client has email's parser take the headers apart, which is made for letters: of a small answer that is a tenth
of all that requests does. Ordinary headers are lines of a name, a colon and a value; whatever else comes is left to
that parser, so that what is read is the same. What urllib3 then makes sure of is so for ordinary headers.
"""

from __future__ import annotations

import email.parser
import http.client
import re
from collections.abc import Iterable
from typing import Any

import urllib3.connection
from urllib3 import HTTPHeaderDict

from meshware.outbound.verbatim import verbatim

_urllib3: Any = urllib3.connection

_LINE = r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)\r\n"
_lines = re.compile(_LINE).findall
_ordinary = re.compile(f"(?:{_LINE})*\r\n").fullmatch

_parted = re.compile(r"^content-type:\s*(?:multipart|message)", re.IGNORECASE | re.MULTILINE).search
"""Kinds of content for which that parser looks at what follows the headers, and notes that nothing does."""


class Ordinary(http.client.HTTPMessage):
    """Headers in which nothing is folded or wrong."""


def headers_of(fp: Any) -> Any:
    """What `http.client.parse_headers` gives for the lines that come next in `fp`."""
    lines: list[bytes] = http.client._read_headers(fp)  # type: ignore[attr-defined]
    text = b"".join(lines).decode("iso-8859-1")
    if _ordinary(text) is None or _parted(text) is not None:
        return email.parser.Parser(_class=http.client.HTTPMessage).parsestr(text)
    message = Ordinary()
    for name, value in _lines(text):
        message.set_raw(name, value)
    message.set_payload("")
    return message


def checked(message: http.client.HTTPMessage) -> None:
    """Raises urllib3's error for what is wrong with the headers."""
    if type(message) is not Ordinary:
        _urllib3.assert_header_parsing(message)


def lines_of(message: http.client.HTTPMessage) -> list[tuple[str, str]]:
    """Names and values, unfolded."""
    ordinary = type(message) is Ordinary
    lines: list[tuple[str, str]] = list(message.raw_items()) if ordinary else _urllib3._normalize_header_values(message)
    return lines


def gathered(lines: Iterable[tuple[str, str]]) -> HTTPHeaderDict:
    """The headers as urllib3 hands them on; its own constructor first finds out what it was given."""
    made = HTTPHeaderDict()
    for name, value in lines:
        made.add(name, value)
    return made


begin = verbatim(http.client.HTTPResponse.begin, parse_headers=headers_of)
"""How http.client reads the head, but for how the headers are taken apart."""

THEIRS: Any = _urllib3.HTTPConnection.getresponse

getresponse = verbatim(
    THEIRS,
    assert_header_parsing=checked,
    _normalize_header_values=lines_of,
    HTTPHeaderDict=gathered,
)
"""How urllib3 takes an answer, but it does not look again at ordinary headers."""
