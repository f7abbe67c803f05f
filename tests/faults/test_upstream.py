"""The faulty server does what its paths say, seen by a bare socket."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest


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
    ],
)
def test_an_answer_as_scripted(upstream, path, said):
    assert said in ask(upstream.port, path)
    assert upstream.requests[0].headers == {"host": "inventory"}


def test_a_reset_is_a_reset(upstream):
    with pytest.raises(ConnectionResetError):
        ask(upstream.port, "/reset")


def test_what_drips_comes_a_byte_at_a_time_and_ends_when_the_peer_goes(upstream):
    assert 1 <= len(ask(upstream.port, "/drip-headers")) <= 3
    assert upstream.let_go_within(1.0)


def test_a_black_hole_reads_and_says_nothing(upstream):
    assert ask(upstream.port, "/hole") == b""
    assert upstream.let_go_within(1.0)


def test_tls_tells_the_name_that_was_asked_for(tls_upstream, authority):
    server = tls_upstream("inventory")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    assert b'"server_name": "inventory"' in ask(server.port, "/echo", context=context)


def test_nothing_is_left_when_it_stops(upstream):
    before = threading.active_count()
    for path in ("ok", "chunked", "short", "garbage"):
        ask(upstream.port, f"/{path}")
    upstream.stop()
    assert threading.active_count() < before
    with pytest.raises(ConnectionRefusedError):
        ask(upstream.port, "/ok")
