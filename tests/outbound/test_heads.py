"""Heads are taken apart as http.client takes them apart, whatever comes."""

from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict
from urllib3.connection import _normalize_header_values

from meshware.outbound.heads import begin, gathered, headers_of

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


@given(LINES)
@example([b"Name: one\r\n", b" folded\r\n"])
@example([b"Twice: 1\r\n", b"twice: 2\r\n"])
def test_urllib3_is_handed_what_it_would_have_made_of_them(lines):
    raw = b"".join(lines) + b"\r\n"
    mine, theirs = headers_of(io.BytesIO(raw)), http.client.parse_headers(io.BytesIO(raw))
    made, known = gathered(mine), HTTPHeaderDict(_normalize_header_values(theirs))
    assert (type(made), vars(made)) == (type(known), vars(known))
    assert mine.items() == theirs.items()


@pytest.mark.parametrize(
    "raw", [b"Long: " + 70_000 * b"x" + b"\r\n\r\n", 101 * b"Many: x\r\n" + b"\r\n"], ids=["too long", "too many"]
)
def test_what_http_client_refuses_is_refused(raw):
    with pytest.raises(http.client.HTTPException) as theirs:
        http.client.parse_headers(io.BytesIO(raw))
    with pytest.raises(type(theirs.value), match=str(theirs.value)):
        headers_of(io.BytesIO(raw))


FIRST = st.one_of(
    st.sampled_from([
        b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 404  not  there ", b"HTTP/1.1 204 No Content",
        b"HTTP/1.1 304 Not Modified", b"HTTP/1.0 200 OK", b"HTTP/1.1  200 OK", b"HTTP/1.1 200 \xa0OK\xe9",
        b"HTTP/1.1 99 x", b"HTTP/2 200 OK", b"ICY 200 OK", b"HTTP/1.1 two OK", b"HTTP/1.1 599 \tx", b"HTTP/1.1 2000 OK",
    ]),
    st.binary(max_size=8).map(lambda text: b"HTTP/1.1 200 " + text.replace(b"\n", b"")),
)  # fmt: skip

FRAMING = st.lists(
    st.sampled_from([
        b"Content-Length: 5\r\n", b"content-length: 5 \r\n", b"Content-Length: +5\r\n", b"Content-Length: -1\r\n",
        b"Content-Length: 0\r\n", b"Content-Length: 5, 5\r\n", b"Content-Length:\r\n", b"Content-Length: \xb2\r\n",
        b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Server: x\r\n",
        b"Connection: keep-alive\r\n", b"Connection: Upgrade, CLOSE\r\n", b"Set-Cookie: a=1\r\n", b"X: 1\r\n",
    ]),
    max_size=4,
)  # fmt: skip


class Sock:
    """What http.client asks a socket for, with these bytes behind it."""

    def __init__(self, raw: bytes):
        self.raw = raw

    def makefile(self, _mode):
        return io.BufferedReader(io.BytesIO(self.raw))


def begun(how, raw: bytes, method: str):
    """All that an answer says of itself after its head was read, and what was left; or what it raised."""
    answer = http.client.HTTPResponse(Sock(raw), method=method)
    try:
        how(answer)
    except http.client.HTTPException as error:
        return repr(error)
    seen = vars(answer) | {"fp": None, "headers": None, "msg": answer.headers.items()}
    return seen, answer.fp.read()


@given(FIRST, st.one_of(FRAMING, LINES), st.sampled_from([b"\r\n", b"\n"]), st.sampled_from(["GET", "HEAD"]))
@example(b"HTTP/1.1 200 OK", [b"Content-Length: 5\r\n"], b"\r\n", "GET")
@example(b"HTTP/1.1 200 OK", [b"Content-Length: x\r\n", b"content-length: 5\r\n"], b"\r\n", "GET")
@example(b"HTTP/1.1 200 OK", [101 * b"Many: x\r\n", b"Content-Length: 5\r\n"], b"\r\n", "GET")
def test_an_answer_begins_as_http_client_has_it_begin(first, lines, end, method):
    raw = first + end + b"".join(lines) + end + b"the body"
    assert begun(begin, raw, method) == begun(http.client.HTTPResponse.begin, raw, method)


@pytest.mark.parametrize("end", [b"", b" folded\r\n\r\n", b"\r"])
def test_many_headers_of_which_the_last_is_not_ordinary_are_not_read_for_ever(end):
    """Where a line can be taken for one in two ways, a hundred can be in 2**100."""
    raw = 90 * b"X:  y\r\n" + end
    assert read(headers_of, raw) == read(http.client.parse_headers, raw)
    raw = b"HTTP/1.1 200 OK\r\n" + raw
    assert begun(begin, raw, "GET") == begun(http.client.HTTPResponse.begin, raw, "GET")


def test_what_has_begun_does_not_begin_again():
    answer = http.client.HTTPResponse(Sock(2 * b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), method="GET")
    begin(answer)
    begin(answer)
    assert answer.read() == b"HTTP/"
