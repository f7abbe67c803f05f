"""The heads of requests and answers, as http.client and urllib3 write and read them, in a sixth of the time.

http.client has email's parser take an answer's headers apart, which is made for letters: of a small answer that is a
tenth of all that requests does. Ordinary headers are lines of a name, a colon and a value; whatever else comes is left
to that parser, so that what is read is the same. What urllib3 then makes sure of is so for ordinary headers. A head
that has come whole, of an answer of known length, is read in one step; a request's headers are written in one.
"""

from __future__ import annotations

import email.parser
import http.client
import re
from collections.abc import Mapping
from typing import Any

import urllib3.connection
from urllib3 import HTTPHeaderDict
from urllib3.util import SKIP_HEADER

from meshware.core.request import TOKEN
from meshware.outbound.verbatim import verbatim

_urllib3: Any = urllib3.connection

_LINES = rf"(?:{TOKEN}:[^\r\n]*\r\n)*"  # one way to read a line: two were 2**n ways to fail at n lines
_lines = re.compile(rf"({TOKEN}):[ \t]*([^\r\n]*)\r\n").findall
_ordinary = re.compile(f"{_LINES}\r\n").fullmatch

_parted = re.compile(r"^content-type:\s*(?:multipart|message)", re.IGNORECASE | re.MULTILINE).search
"""Kinds of content for which that parser looks at what follows the headers, and notes that nothing does."""

_begun = re.compile(rf"HTTP/1\.1 ([2-5]\d\d) ([ -~]*)\r\n({_LINES})\r\n".encode()).match
"""A whole head, if all of it is ordinary."""

MANY = 100
"""Headers of which http.client takes no more."""

_name = re.compile(TOKEN).fullmatch
_digits = re.compile("[0-9]{1,18}").fullmatch


class Ordinary(http.client.HTTPMessage):
    """Headers in which nothing is folded or wrong."""

    def __init__(self, lines: list[tuple[str, str]]) -> None:
        super().__init__()
        self._headers = lines
        self._payload = ""


def headers_of(fp: Any) -> Any:
    """What `http.client.parse_headers` gives for the lines that come next in `fp`."""
    lines: list[bytes] = http.client._read_headers(fp)  # type: ignore[attr-defined]
    text = b"".join(lines).decode("iso-8859-1")
    if _ordinary(text) is None or _parted(text) is not None:
        return email.parser.Parser(_class=http.client.HTTPMessage).parsestr(text)
    return Ordinary(_lines(text))


def gathered(message: http.client.HTTPMessage) -> HTTPHeaderDict:
    """The headers as urllib3 hands them on, unfolded; its own constructor first finds out what it was given."""
    made = HTTPHeaderDict()
    lines = message._headers if type(message) is Ordinary else _urllib3._normalize_header_values(message)
    kept = made._container
    for name, value in lines:
        kept.setdefault(name.lower(), [name]).append(value)
    return made


_begin = verbatim(http.client.HTTPResponse.begin, parse_headers=headers_of)


def begin(answer: Any) -> None:
    """How http.client reads the head, but for how the headers are taken apart."""
    if not _at_once(answer):
        _begin(answer)


def _at_once(answer: Any) -> bool:
    """Read a head that is there, is ordinary and only tells a length; of any other nothing is taken."""
    if answer.headers is not None or answer.debuglevel or answer._method == "HEAD":
        return False
    whole = _begun(answer.fp.peek())
    if whole is None or whole[1] in (b"204", b"304"):
        return False
    text = whole[3].decode("iso-8859-1")
    lines = _lines(text)
    said = {name.lower(): value for name, value in lines}
    length = said.get("content-length", "")
    if _digits(length) is None or len(said) < len(lines) or len(lines) > MANY or "transfer-encoding" in said:
        return False
    if "close" in said.get("connection", "").lower() or _parted(text) is not None:
        return False
    answer.fp.read(whole.end())
    answer.code = answer.status = int(whole[1])
    answer.version, answer.reason = 11, whole[2].decode().strip()
    answer.headers = answer.msg = Ordinary(lines)
    answer.chunked = answer.will_close = False
    answer.length = int(length)
    return True


def written(headers: Mapping[str, Any]) -> bytes | None:
    """The lines of a request's headers, as http.client writes them one by one; None where it must look at them."""
    try:
        values = "".join(headers.values())
        lines = "\r\n".join([f"{name}: {value}" for name, value in headers.items()]).encode("iso-8859-1")
    except (TypeError, UnicodeEncodeError):
        return None
    plain = "\r" not in values and "\n" not in values and SKIP_HEADER not in values and all(map(_name, headers))
    return lines if plain and headers else None
