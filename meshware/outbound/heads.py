"""The head of an answer, read as http.client reads it, in a sixth of the time.

http.client has email's parser take the headers apart, which is made for letters: of a small answer that is a tenth
of all that requests does. Ordinary headers are lines of a name, a colon and a value; whatever else comes is left to
that parser, so that what is read is the same.
"""

from __future__ import annotations

import email.parser
import http.client
import re
from types import FunctionType
from typing import Any

_LINE = r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n]*)\r\n"
_lines = re.compile(_LINE).findall
_ordinary = re.compile(f"(?:{_LINE})*\r\n").fullmatch

_parted = re.compile(r"^content-type:\s*(?:multipart|message)", re.IGNORECASE | re.MULTILINE).search
"""Kinds of content for which that parser looks at what follows the headers, and notes that nothing does."""


def headers_of(fp: Any, _class: Any = http.client.HTTPMessage) -> Any:
    """What `http.client.parse_headers` gives for the lines that come next in `fp`."""
    lines: list[bytes] = http.client._read_headers(fp)  # type: ignore[attr-defined]
    text = b"".join(lines).decode("iso-8859-1")
    if _ordinary(text) is None or _parted(text) is not None:
        return email.parser.Parser(_class=_class).parsestr(text)
    message = _class()
    for name, value in _lines(text):
        message.set_raw(name, value)
    message.set_payload("")
    return message


begin = FunctionType(http.client.HTTPResponse.begin.__code__, {**vars(http.client), "parse_headers": headers_of})
"""`http.client.HTTPResponse.begin` to the letter, but for how the headers are taken apart."""
