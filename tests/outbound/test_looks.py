"""A look at a body's first bytes: decoded, within a limit, and never raising."""

from __future__ import annotations

import gzip
import random
import zlib
from types import SimpleNamespace

import pytest

from meshware.core.outcome import Outcome
from meshware.outbound.looks import Chunks, Look, Unpacking, look_of

TEXT = b'{"errors": [{"message": "boom"}]}'
BARE = zlib.compressobj(wbits=-15)
DEFLATED = BARE.compress(TEXT) + BARE.flush()


def looked(look, body, size):
    for start in range(0, len(body), size):
        if look.full:
            break
        look.add(body[start : start + size])
    return look.body


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("packed", [gzip.compress(TEXT), zlib.compress(TEXT)], ids=["gzip", "zlib"])
def test_what_is_compressed_is_unpacked_for_the_look(packed, size):
    assert looked(Unpacking(1000), packed, size) == TEXT


def test_bare_deflate_is_understood_when_it_comes_at_once():
    assert looked(Unpacking(1000), DEFLATED, 1000) == TEXT


def test_no_more_is_kept_than_is_looked_at():
    look = Look(10)
    look.add(b"12345")
    assert not look.full
    look.add(b"678901")
    assert (look.full, look.body) == (True, b"1234567890")


def test_a_bomb_is_unpacked_no_further_than_the_look_goes():
    look = Unpacking(1000)
    look.add(zlib.compress(b"\0" * 50_000_000))
    assert (look.full, len(look.body)) == (True, 1000)


def test_what_unpacks_to_nothing_is_not_read_for_ever():
    packer = zlib.compressobj()
    empty = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH) * 1000
    assert looked(Unpacking(1000), empty + b"\0\0\0\xff\xff" * 10_000, 100) == b""


@pytest.mark.parametrize("body", [b"not packed at all", b"\x1f\x8b garbage", b"\x78"], ids=repr)
def test_what_cannot_be_unpacked_is_an_empty_look(body):
    assert looked(Unpacking(1000), body, 4) == b""


# Chunks


def chunked(*parts, extension=b""):
    return b"".join(b"%x%s\r\n%s\r\n" % (len(each), extension, each) for each in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_chunk_sizes_are_no_body(size):
    wire, chunks, body = chunked(b"abc", b"d" * 40, extension=b";a=b") + b"more", Chunks(), b""
    for start in range(0, len(wire), size):
        body += chunks.feed(wire[start : start + size])
    assert (body, chunks.over) == (b"abc" + b"d" * 40, True)


@pytest.mark.parametrize(
    "wire", [b"zz\r\nabc", b"\r\n", b"-5\r\nabc", b"a" * 1000, b"9" * 300 + b"\r\n"], ids=lambda wire: repr(wire[:8])
)
def test_what_is_no_chunk_ends_the_look(wire):
    chunks = Chunks()
    assert chunks.feed(wire) == b""
    assert chunks.over


def test_no_bytes_raise():
    rng = random.Random(3)
    for _ in range(2000):
        chunks = Chunks()
        for _ in range(4):
            chunks.feed(bytes(rng.choices(b"0123abcdefx;\r\n\xff", k=rng.randrange(40))))


# Which answers are looked at


def service(*, wants=True, needs_body=100):
    return SimpleNamespace(judge=SimpleNamespace(needs_body=needs_body, wants=lambda outcome: wants))


def answer(status=200, encoding=None):
    headers = {} if encoding is None else {"content-encoding": encoding}
    return Outcome(elapsed=0.1, status=status, headers=headers)


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [(None, Look), ("identity", Look), ("gzip", Unpacking), ("Deflate", Unpacking), ("br", None), ("gzip, gzip", None)],
)
def test_by_the_encoding_it_is_clear_how_and_whether(encoding, kind):
    look = look_of(service(), "GET", answer(encoding=encoding))
    assert look is None if kind is None else type(look) is kind


def test_what_has_no_body_or_is_not_wanted_is_not_looked_at():
    assert look_of(service(), "HEAD", answer()) is None
    assert look_of(service(), "GET", answer(204)) is None
    assert look_of(service(wants=False), "GET", answer()) is None
    assert look_of(SimpleNamespace(judge=None), "GET", answer()) is None
    assert look_of(service(), "GET", Outcome(elapsed=0.1, status=200)) is not None
