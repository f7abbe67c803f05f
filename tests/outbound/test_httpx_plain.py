"""Whatever is sent and comes, it is what h11 says of it, in its words."""

from __future__ import annotations

import h11
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshware.outbound.httpx_plain import Plain

HEADERS = st.lists(
    st.sampled_from([
        ("Accept", "*/*"), ("Connection", "keep-alive"), ("connection", "Keep-Alive, close"), ("Connection", "close"),
        ("Content-Length", "0"), ("Content-Length", "4"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue"),
        ("Upgrade", "websocket"), ("X-A", "1"), ("x-a", " 2"), ("Empty", ""),
    ]),
    max_size=3,
)  # fmt: skip

BODIES = st.lists(st.sampled_from([b"", b"b", b"body", b"bod", b"body and more"]), max_size=2)

FIRST = st.sampled_from([
    b"HTTP/1.1 200 OK", b"HTTP/1.1 200 ", b"HTTP/1.1 200", b"HTTP/1.1 404 Not  There\t", b"HTTP/1.1 204 None",
    b"garbage", b"HTTP/1.0 200 OK", b"HTTP/1.1 304 x", b"HTTP/1.1 200 \xe9", b"HTTP/1.1 103 Early", b"HTTP/1.1 101 Up",
    b"HTTP/2 200 OK",
])  # fmt: skip

LINES = st.lists(
    st.sampled_from([
        b"Content-Length: 2", b"content-length:2 ", b"Content-Length: 0", b"Content-Length: 2, 2", b"Content-Length: x",
        b"Content-Length: 5000", b"Content-Length: 2\r\nContent-Length: 2", b"Transfer-Encoding: chunked",
        b"Server: a b", b"Connection: keep-alive", b"Connection: close", b"Set-Cookie: a=1", b"Set-Cookie: b=2",
        b"Bad Name: x", b"Empty:", b"Folded: a\r\n b", b"Nul: \0", b"Tab:\ta\tb \t", b"Latin: \xe9", b": nameless",
        b"Upgrade: h2c", b"Del: \x7f",
    ]),
    max_size=4,
)  # fmt: skip

GOOD = [b"Server: x", b"Content-Length: 2"]
GET = ("GET", [("Accept", "*/*")], [])


@st.composite
def exchanges(draw):
    """What is said, and what comes back in pieces."""
    first, lines = draw(FIRST), draw(LINES)
    raw = b"\r\n".join([first, *lines, b"", b""]) + draw(
        st.sampled_from([b"", b"{}", b"{", b"{} and more", b"2\r\n{}\r\n0\r\n\r\n"])
    )
    cuts = sorted(draw(st.lists(st.integers(0, len(raw)), max_size=2)))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    said = draw(st.sampled_from(["GET", "POST", "HEAD", "CONNECT"])), draw(HEADERS), draw(BODIES)
    return said, [each for each in pieces if each], draw(st.booleans())


def told(event):
    """An event as plain data."""
    if isinstance(event, h11.Response | h11.InformationalResponse):
        return (
            type(event),
            event.status_code,
            event.reason,
            event.http_version,
            event.headers.raw_items(),
            [*event.headers],
        )
    return bytes(event.data) if isinstance(event, h11.Data) else event if isinstance(event, type) else type(event)


def lived(parser, *exchanged):
    """All that a parser says in these exchanges, one after another; it ends with what it raises."""
    seen = []
    try:
        for (method, headers, body), pieces, closed in exchanged:
            event = h11.Request(method=method, target="/a?b", headers=[("host", "inventory"), *headers])
            seen += [parser.send(event), parser.our_state, parser.their_state]
            seen += [parser.send(h11.Data(data=each)) for each in body]
            seen += [parser.send(h11.EndOfMessage()), parser.our_state]
            for piece in [*pieces, *([b""] if closed else [])]:
                if parser.their_state is h11.DONE:  # nobody waits for more
                    break
                parser.receive_data(piece)
                while (event := parser.next_event()) not in (h11.NEED_DATA, h11.PAUSED) and len(seen) < 99:
                    seen.append(told(event))
                seen += [told(event), parser.trailing_data, parser.our_state, parser.their_state]
            if (parser.our_state, parser.their_state) != (h11.DONE, h11.DONE):
                break
            parser.start_next_cycle()
            seen += [parser.our_state, parser.their_state]
    except (h11.ProtocolError, RuntimeError) as error:
        seen += [type(error), str(error), parser.their_state if isinstance(error, h11.RemoteProtocolError) else None]
    return seen


def whole(*lines, body=b"{}", first=b"HTTP/1.1 200 OK"):
    return b"\r\n".join([first, *lines, b"", b""]) + body


@settings(max_examples=300)
@given(exchanges(), exchanges())
@example((GET, [whole(*GOOD)], False), (GET, [whole(*GOOD, body=b""), b"{", b"}"], False))
@example((GET, [whole(*GOOD, body=b"{"), b"} more"], False), (GET, [whole(*GOOD)], True))
@example((GET, [whole(b"Content-Length: 5000"), b"more"], True), (GET, [whole(*GOOD)], False))
@example((("POST", [("Content-Length", "4")], [b"body"]), [whole(*GOOD)], False), (GET, [whole(*GOOD)], True))
@example((GET, [whole(*GOOD)], False), (GET, [], True))
@example((GET, [whole(*90 * [b"Empty:  "], *90 * [b"X:  y  "], b" folded")], False), (GET, [], True))
def test_an_exchange_is_what_h11_makes_of_it(one, other):
    made = h11.Connection(h11.CLIENT)
    assert lived(Plain(h11.Connection(h11.CLIENT)), one, other) == lived(made, one, other)


@pytest.mark.parametrize("said", [GET, ("POST", [("content-length", "4")], [b"body"]), ("DELETE", [], [])])
def test_a_plain_exchange_is_not_told_to_h11(said, monkeypatch):
    inner = h11.Connection(h11.CLIENT)
    known = lived(h11.Connection(h11.CLIENT), (said, [whole(*GOOD)], False))
    monkeypatch.setattr(h11.Connection, "send", None)
    monkeypatch.setattr(h11.Connection, "next_event", None)
    assert lived(Plain(inner), (said, [whole(*GOOD)], False)) == known


def test_an_exchange_that_is_not_over_is_followed_by_none():
    parser = Plain(h11.Connection(h11.CLIENT))
    with pytest.raises(h11.LocalProtocolError):
        parser.start_next_cycle()
    lived(parser, (GET, [whole(*GOOD, body=b"{")], False))
    with pytest.raises(h11.LocalProtocolError):
        parser.start_next_cycle()


def test_headers_that_are_said_again_are_looked_through_once():
    parser = Plain(h11.Connection(h11.CLIENT))
    first = h11.Request(method="GET", target="/", headers=[("accept", "*/*"), ("host", "x")])
    for _ in range(2):
        assert parser.send(first) == b"GET / HTTP/1.1\r\nhost: x\r\naccept: */*\r\n\r\n"
        parser.send(h11.EndOfMessage())
        parser.receive_data(whole(*GOOD))
        assert [told(parser.next_event()) for _ in range(3)][1:] == [b"{}", h11.EndOfMessage]
        parser.start_next_cycle()
