"""The faulty server does what its paths say, seen by a bare socket."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest
from faults.upstream import never_accepting


def ask(port, path, *, context=None, name="inventory"):
    """All bytes of one answer, up to the close or two quiet tenths of a second."""
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        sock = plain if context is None else context.wrap_socket(plain, server_hostname=name)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: inventory\r\n\r\n".encode())
        sock.settimeout(0.2)
        data = b""
        try:
            while part := sock.recv(65536):
                data += part
        except TimeoutError:
            pass
        finally:
            sock.close()
        return data


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/ok", b"\r\n\r\nok"),
        ("/status/503?Retry-After=1", b"503 Whatever\r\nContent-Length: 8\r\nRetry-After: 1"),
        ("/echo?a=1", b'"target": "/echo?a=1"'),
        ("/chunked", b"0\r\n\r\n"),
        ("/early", b"103 Early Hints"),
        ("/eof-headers", b"text/plain\r\n"),
        ("/short", b"0123456789"),
        ("/planted", b"planted"),
        ("/until-close", b"all of it"),
        ("/status/302?Location=/ok", b"302 Whatever\r\nContent-Length: 8\r\nLocation: /ok"),
        ("/status/200?Set-Cookie=a%3Db", b"Set-Cookie: a=b"),
        ("/huge-headers", b"x" * 100_000),
        ("/garbage", b"this is not HTTP"),
        ("/stall-body", b"0123456789"),
        ("/short-chunk", b"a\r\n012"),
        ("/bad-chunk", b"zz\r\n"),
        ("/early-for-ever", b"103 Early Hints\r\n\r\nHTTP/1.1 103"),
        ("/sleep/0.05", b"\r\n\r\nok"),
        ("/big", b"x" * 1_000_000),
    ],
)
def test_an_answer_as_scripted(upstream, path, said):
    assert said in ask(upstream.port, path)
    assert upstream.requests[0].headers == {"host": "inventory"}


@pytest.mark.parametrize("path", ["reset", "reset-headers", "reset-body"])
def test_a_reset_is_a_reset(upstream, path):
    with pytest.raises(ConnectionResetError):
        ask(upstream.port, f"/{path}")


def test_it_closes_without_a_word(upstream):
    assert ask(upstream.port, "/close") == b""
    assert upstream.let_go_within(2.0)


@pytest.mark.parametrize(
    "sent", [b"Content-Length: 5\r\n\r\norder", b"Transfer-Encoding: chunked\r\n\r\n2\r\nor\r\n3\r\nder\r\n0\r\n\r\n"]
)
def test_bodies_are_read_and_connections_kept(upstream, sent):
    with socket.create_connection(("127.0.0.1", upstream.port), 5) as sock:
        for number in range(1, 4):
            sock.sendall(b"POST /ok HTTP/1.1\r\n" + sent)
            assert sock.recv(65536).endswith(b"\r\n\r\nok")
            assert [each.body for each in upstream.requests] == [b"order"] * number
        assert upstream.open_connections == 1
        assert upstream.requests[0].connection is upstream.requests[2].connection
    assert upstream.let_go_within(2.0)


def test_an_answer_may_be_replaced_while_it_runs(upstream):
    upstream.answers["ok"] = upstream.answers["garbage"]
    assert b"not HTTP" in ask(upstream.port, "/ok")


def test_an_event_stream_goes_on(upstream):
    with socket.create_connection(("127.0.0.1", upstream.port), 5) as sock:
        sock.sendall(b"GET /events HTTP/1.1\r\n\r\n")
        data = b""
        while b"data: tick\n\n" not in data:
            data += sock.recv(65536)
        assert upstream.open_connections == 1


def test_what_drips_comes_a_byte_at_a_time_and_ends_when_the_peer_goes(upstream):
    assert 1 <= len(ask(upstream.port, "/drip-headers")) <= 3
    assert upstream.let_go_within(2.0)


def test_a_black_hole_reads_and_says_nothing(upstream):
    assert ask(upstream.port, "/hole") == b""
    assert upstream.let_go_within(2.0)


def test_tls_tells_the_name_that_was_asked_for(tls_upstream, authority):
    server = tls_upstream("inventory")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert b'"server_name": "inventory"' in ask(server.port, "/echo", context=context)


def test_a_handshake_that_never_comes_does_not_keep_it_from_stopping(tls_upstream):
    server = tls_upstream("inventory")
    with socket.create_connection(("127.0.0.1", server.port), 5):
        while not server.connections:
            time.sleep(0.005)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 2.0


def test_a_full_queue_accepts_nobody():
    with never_accepting() as address, pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2])), 0.2).close()


def test_nothing_is_left_when_it_stops(upstream):
    before = threading.active_count()
    for path in ("ok", "chunked", "short", "garbage"):
        ask(upstream.port, f"/{path}")
    upstream.stop()
    assert threading.active_count() < before
    with pytest.raises(ConnectionRefusedError):
        ask(upstream.port, "/ok")


@pytest.mark.parametrize("fault", ["refused", "syn-lost"])
def test_a_port_that_was_told_not_to_accept_accepts_again_when_healed(upstream, fault):
    upstream.turn(fault)
    with pytest.raises((ConnectionRefusedError, TimeoutError)):
        socket.create_connection(("127.0.0.1", upstream.port), 0.2).close()
    upstream.heal()
    assert ask(upstream.port, "/ok").endswith(b"ok")


@pytest.mark.parametrize("fault", ["503", "garbage", "hole", "unaccepted", "reset-unread", "answered-early"])
def test_what_it_is_told_holds_for_every_path_until_it_is_healed(upstream, fault):
    upstream.turn(fault)
    try:
        assert not ask(upstream.port, "/ok").endswith(b"\r\n\r\nok")
    except ConnectionResetError:
        assert fault == "reset-unread"
    upstream.heal()
    assert ask(upstream.port, "/ok").endswith(b"ok")
