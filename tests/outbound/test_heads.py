"""Heads are taken apart as http.client takes them apart, whatever comes."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict
from urllib3.connection import _normalize_header_values
from urllib3.exceptions import HeaderParsingError
from urllib3.util.response import assert_header_parsing

from meshware.outbound.heads import checked, gathered, headers_of, lines_of

LINES = st.lists(
    st.one_of(
        st.sampled_from([
            b"Server: one\r\n", b"server:two \r\n", b"Empty:\r\n", b"X:\t a:b \r\n", b"Name : v\r\n", b" folded\r\n",
            b"\tfolded\r\n", b"no colon\r\n", b"From me\r\n", b"From: me\r\n", b": nameless\r\n", b"Bare: lf\n",
            b"CR: a\rb\r\n", b"Nul: a\x00b\r\n", b"Vt: a\x0bb\x0c\x85\xa0\r\n", b"Latin: \xe9\xff\r\n", b"\xe9: x\r\n",
            b"Content-Type: text/html; charset=utf-8\r\n", b"content-type: multipart/mixed; boundary=x\r\n",
            b"CONTENT-TYPE:\x0bMultipart/mixed\r\n", b"Content-Type: message/rfc822\r\n", b"Set-Cookie: a=1\r\n",
            b"Content-Type: message/delivery-status\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 2\r\n",
        ]),
        st.binary(max_size=12).map(lambda name: name.replace(b"\n", b"") + b": value\r\n"),
        st.binary(max_size=12).map(lambda value: b"Name: " + value.replace(b"\n", b"") + b"\r\n"),
    ),
    max_size=5,
)  # fmt: skip


def read(how, raw: bytes):
    """Everything that can be seen of a message, and what was left unread."""
    fp = io.BufferedReader(io.BytesIO(raw))
    message = how(fp)
    seen = {**vars(message), "_payload": type(message.get_payload()), "defects": list(map(repr, message.defects))}
    parts = [(list(each.raw_items()), each.is_multipart() or each.get_payload()) for each in message.walk()]
    assert isinstance(message, http.client.HTTPMessage)
    return seen, parts, fp.read()


@given(LINES, st.sampled_from([b"\r\n", b"\n", b""]))
@example([b"Content-Type: multipart/mixed; boundary=x\r\n"], b"\r\n")
def test_headers_are_those_of_http_client(lines, end):
    raw = b"".join(lines) + end + b"the body"
    assert read(headers_of, raw) == read(http.client.parse_headers, raw)


def wrong(check, message):
    """What a check of the headers raises."""
    try:
        check(message)
    except (HeaderParsingError, TypeError) as error:
        return repr(error)


@given(LINES)
@example([b"Name: one\r\n", b" folded\r\n"])
@example([b"Twice: 1\r\n", b"twice: 2\r\n"])
def test_urllib3_is_handed_what_it_would_have_made_of_them(lines):
    raw = b"".join(lines) + b"\r\n"
    mine, theirs = headers_of(io.BytesIO(raw)), http.client.parse_headers(io.BytesIO(raw))
    assert wrong(checked, mine) == wrong(assert_header_parsing, theirs)
    made, known = gathered(lines_of(mine)), HTTPHeaderDict(_normalize_header_values(theirs))
    assert (type(made), list(made.iteritems()), made.getlist("twice")) == (
        type(known), list(known.iteritems()), known.getlist("twice"),
    )  # fmt: skip
    assert mine.items() == theirs.items()


@pytest.mark.parametrize(
    "raw", [b"Long: " + 70_000 * b"x" + b"\r\n\r\n", 101 * b"Many: x\r\n" + b"\r\n"], ids=["too long", "too many"]
)
def test_what_http_client_refuses_is_refused(raw):
    with pytest.raises(http.client.HTTPException) as theirs:
        http.client.parse_headers(io.BytesIO(raw))
    with pytest.raises(type(theirs.value), match=str(theirs.value)):
        headers_of(io.BytesIO(raw))
