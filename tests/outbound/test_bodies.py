"""Bodies are read as urllib3 reads them, whatever their framing."""

from __future__ import annotations

import gzip
import http.client
import io
from itertools import product

import pytest
from urllib3 import HTTPResponse
from urllib3.exceptions import HTTPError

from meshware.outbound.bodies import PlainResponse, plainly

GZIP = gzip.compress(b"some text " * 20)

FRAMES = {
    "whole": b"Content-Length: 4\r\n\r\nbody",
    "more than a piece": b"Content-Length: 9\r\n\r\nnine long",
    "short": b"Content-Length: 9\r\n\r\nbody",
    "missing": b"Content-Length: 9\r\n\r\n",
    "more than was said": b"Content-Length: 2\r\n\r\nbody",
    "empty": b"Content-Length: 0\r\n\r\n",
    "until the end": b"\r\nbody",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "both": b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
    "no length": b"Content-Length: four\r\n\r\nbody",
    "two lengths": b"Content-Length: 4, 4\r\n\r\nbody",
    "gzip": b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(GZIP), GZIP),
    "unknown coding": b"Content-Encoding: other\r\nContent-Length: 4\r\n\r\nbody",
}


class Sock:
    """What http.client asks of a socket."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(io.BytesIO(self.raw))


def answer(kind, frame: bytes, method: str, **options):
    """An answer as urllib3 makes it."""
    inner = http.client.HTTPResponse(Sock(b"HTTP/1.1 200 OK\r\n" + frame), method=method)
    inner.begin()
    headers = inner.msg.items()
    return kind(
        inner, headers, preload_content=False, original_response=inner, request_method=method, status=200, **options
    )


def seen(response, amount, first, decode):
    """Everything that can be seen of a body that is streamed after its `first` bytes were read, and then once more."""
    pieces = []
    ways = [
        lambda: [response.read(first)] if first else [],
        lambda: response.stream(amount, decode_content=decode),
        lambda: response.stream(amount),
        lambda: [response.data],
    ]
    for way in ways:
        try:
            for piece in way():
                pieces.append((piece, response.tell(), response.closed, response.length_remaining))
        except (HTTPError, RuntimeError) as error:
            pieces.append(repr(error))
        pieces.append((response.tell(), response.closed, response.length_remaining))
    return pieces


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES.keys())
@pytest.mark.parametrize("amount", [0, 1, 4, 100, None])
def test_a_body_comes_as_from_urllib3(frame, amount):
    for method, first, decode, enforced in product(("GET", "HEAD"), (0, 1, 4), (True, False, None), (True, False)):
        theirs = answer(HTTPResponse, frame, method, enforce_content_length=enforced)
        mine = answer(PlainResponse, frame, method, enforce_content_length=enforced)
        assert seen(mine, amount, first, decode) == seen(theirs, amount, first, decode), (method, first, decode)


def test_a_body_that_is_all_there_is_to_come_is_asked_for_once():
    response = answer(PlainResponse, FRAMES["whole"], "GET")
    asked, read = [], response._fp.read
    response._fp.read = lambda *amount: asked.append(amount) or read(*amount)
    assert list(response.stream(100, decode_content=True)) == [b"body"]
    assert len(asked) == 1


def test_who_has_put_something_in_the_place_of_a_way_to_read_sees_each(monkeypatch):
    asked = []
    stream = HTTPResponse.stream
    monkeypatch.setattr(HTTPResponse, "stream", lambda *args, **options: asked.append(1) or stream(*args, **options))
    read = plainly(answer(HTTPResponse, FRAMES["whole"], "GET"))
    assert list(read.stream(100)) == [b"body"]
    assert asked


def test_a_response_of_another_kind_is_left_alone():
    class Own(HTTPResponse):
        pass

    assert type(plainly(answer(Own, FRAMES["whole"], "GET"))) is Own
    assert type(plainly(answer(HTTPResponse, FRAMES["whole"], "GET"))) is PlainResponse
