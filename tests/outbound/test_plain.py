"""What goes out at once is what urllib3 sends, and what comes of it is what urllib3 makes of that."""

from __future__ import annotations

import functools
import http.client
import io
import socket
from contextlib import contextmanager
from math import inf

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util import SKIP_HEADER

from meshware.core.endpoint import Endpoint
from meshware.outbound import plain
from meshware.outbound.plain import answer_of, request_of
from meshware.outbound.reaper import Cut
from meshware.outbound.requests import MeshAdapter
from meshware.outbound.wire import Wire, WireResponse, current

OPTIONS = {"preload_content": False, "decode_content": False, "enforce_content_length": True}
USUAL = {"User-Agent": "x/1", "Accept-Encoding": "gzip, deflate", "Accept": "*/*", "Connection": "keep-alive"}


class Taking:
    """A socket that keeps what is sent."""

    def __init__(self):
        self.data = b""

    def settimeout(self, _seconds):
        pass

    def sendall(self, data):
        self.data += data


def connection(kind=HTTPConnection, host="inventory", port=None, **options):
    made = kind(host, port, **options)
    made.sock = Taking()
    return made


def sent_by_urllib3(conn, method, url, body, headers, **options):
    """What urllib3 sends; None where it refuses to."""
    try:
        conn.request(method, url, body, headers, **OPTIONS, **options)
    except (ValueError, TypeError, http.client.HTTPException, UnicodeError):
        return None
    return conn.sock.data


NAMES = st.sampled_from([
    "User-Agent", "accept-encoding", "Accept", "Host", "Content-Length", "content-length", "Transfer-Encoding", "X-A",
    "x-a", "Bad Name", "Bad:Name", "B\xe4d", "", "Bad\r\n",
])  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        ["1", "chunked", "", "a: b", "\xe9", "€", "a\r\nX: y", "a\nb", "a\r\n b", SKIP_HEADER, b"bytes", 7]
    ),
    st.text(max_size=5),
)


@given(
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "get", "BREW", "G T", "TRACE", ""]),
    st.one_of(
        st.sampled_from(["/", "/a?b=%20c", "", "*", "a", "http://x/y", "/a b", "/\xe9", "/a\r\nb"]), st.text(max_size=4)
    ),
    st.sampled_from([None, b"", b"body", "text", io.BytesIO(b"file"), b"x" * 20_000]),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.booleans(),
    st.sampled_from(["inventory", "inventory.", "::1", "a_b-c", "10.0.0.1", "b\xfccher"]),
    st.sampled_from([None, 80, 443, 8080]),
    st.sampled_from([HTTPConnection, HTTPSConnection]),
)
def test_what_goes_out_at_once_is_what_urllib3_would_send(method, url, body, headers, chunked, host, port, kind):
    headers = USUAL | headers
    at_once = request_of(connection(kind, host, port), method, url, body, headers, {**OPTIONS, "chunked": chunked})
    if at_once is not None:
        assert at_once == sent_by_urllib3(connection(kind, host, port), method, url, body, headers, chunked=chunked)


@pytest.mark.parametrize(
    ("method", "body", "more"),
    [
        ("GET", None, {}),
        ("HEAD", None, {"Host": "other"}),
        ("DELETE", None, {"traceparent": "00-1"}),
        ("POST", None, {"Content-Length": "0"}),
        ("POST", b"{}", {"Content-Length": "2", "Content-Type": "application/json"}),
    ],
)
def test_what_is_usual_goes_out_at_once(method, body, more):
    options = {**OPTIONS, "chunked": False}
    at_once = request_of(connection(), method, "/items?of=all", body, USUAL | more, options)
    assert at_once == sent_by_urllib3(connection(), method, "/items?of=all", body, USUAL | more)
    assert at_once is not None


@contextmanager
def an_attempt():
    """What is sent belongs to it."""
    token = current.set(Wire(object(), Cut(inf), connect_for=1.0, patience=5.0, endpoint=Endpoint("127.0.0.1:1")))
    yield
    current.reset(token)


def answered(raw: bytes, how, method="GET"):
    """All that an answer says of itself and its connection, and its body; what it raised; and what was logged."""
    near, far = socket.socketpair()
    with far, near, an_attempt():
        conn = HTTPConnection("inventory")
        conn.response_class, conn.sock = WireResponse, near
        conn.request(method, "/", headers=USUAL, **OPTIONS)
        far.sendall(raw)
        far.shutdown(socket.SHUT_WR)
        try:
            answer = how(conn, method)
        except Exception as error:
            return repr(error), conn.sock is None
        seen = {name: value for name, value in vars(answer).items() if type(value) in (int, str, bool, type(None))}
        found = type(answer), seen, answer.headers.items(), answer._original_response is answer._fp, conn.sock is None
        try:
            return *found, answer.read()
        except HTTPError as error:
            return *found, repr(error)
        finally:
            answer.close()


ANSWERS = [
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.0 404 Not There\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nFolded: a\r\n b\r\nno colon\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{}",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"garbage\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-",
    b"",
]


@pytest.mark.parametrize("raw", ANSWERS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_is_what_urllib3_makes_of_it(raw, method, caplog):
    theirs = answered(raw, lambda conn, _method: conn.getresponse(), method)
    warned = [each.getMessage() for each in caplog.records]
    caplog.clear()
    mine = answered(raw, lambda conn, method: answer_of(conn, method, "/", OPTIONS), method)
    assert mine == theirs
    assert [each.getMessage() for each in caplog.records] == warned


def test_of_headers_that_are_wrong_there_is_a_warning(caplog):
    answered(ANSWERS[6], lambda conn, method: answer_of(conn, method, "/", OPTIONS))
    assert "Failed to parse headers" in caplog.text


STEPS = [
    *((HTTPConnection, name) for name in ("request", "putrequest", "putheader", "getresponse")),
    *((http.client.HTTPConnection, name) for name in ("putrequest", "putheader", "endheaders", "send", "getresponse")),
]


@pytest.mark.parametrize(("owner", "name"), STEPS, ids=lambda each: each if isinstance(each, str) else each.__module__)
def test_who_has_put_something_in_the_place_of_a_step_sees_each_call(owner, name, monkeypatch, mesh_of, upstream):
    session, seen = requests.Session(), []
    session.mount("http://", MeshAdapter(mesh_of(inventory=[upstream])))
    session.get("http://inventory/ok")
    step = getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *args, **named: (seen.append(name), step(*args, **named))[1])
    for number in (1, 2, 3):
        assert session.get("http://inventory/ok").text == "ok"
        assert len(seen) >= number


def test_what_was_put_there_before_is_taken_for_no_step_of_the_librarys():
    step = HTTPConnection.request

    @functools.wraps(step)
    def seen(*args, **named):
        return step(*args, **named)

    assert plain._libraries_own(step)
    assert not plain._libraries_own(seen)
    assert not plain._libraries_own(functools.partial(step))


def test_a_call_on_a_kept_connection_goes_out_at_once(mesh_of, upstream, monkeypatch):
    session, told = requests.Session(), []
    session.mount("http://", MeshAdapter(mesh_of(inventory=[upstream])))
    monkeypatch.setattr(plain, "answer_of", lambda *args: (told.append(args[1:3]), answer_of(*args))[1])
    for _ in range(3):
        assert session.post("http://inventory/echo", data=b"all of it").status_code == 200
    assert told == 2 * [("POST", "/echo")]
    assert [each.body for each in upstream.requests] == 3 * [b"all of it"]
    first, second, third = [each.headers.keys() - {"x-meshware-report"} for each in upstream.requests]
    assert first == second == third
