"""How endpoints are asked: real servers, some of which misbehave."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from faults.behaviours import CHUNKED, _then

from meshware.core.endpoint import Endpoint
from meshware.health import asking
from meshware.health.asking import Ailing, Called, Http, HttpOptions, Tcp
from meshware.security.tls import Tls, TlsOptions


def endpoint_of(upstream):
    return Endpoint(upstream.address)


def http(path="/ok", *, timeout=1.0, tls=None, **options):
    return Http(HttpOptions(host="inventory", path=path, **options), timeout=timeout, tls=tls)


def test_a_status_that_is_expected_is_well(upstream):
    http()(endpoint_of(upstream))
    http("/status/204", expected=((200, 299),))(endpoint_of(upstream))
    (seen, other) = upstream.requests
    assert (seen.method, seen.target, other.target) == ("GET", "/ok", "/status/204")
    assert seen.headers["host"] == "inventory"
    assert seen.headers["connection"] == "close"


def test_another_status_is_a_plain_no(upstream):
    with pytest.raises(Ailing, match="it answers 503"):
        http("/status/503")(endpoint_of(upstream))
    with pytest.raises(Ailing):
        http("/ok", expected=((204, 204),))(endpoint_of(upstream))


def test_headers_method_and_host_are_as_set(upstream):
    ask = Http(
        HttpOptions(host="endpoint", path="/ok", method="POST", headers={"X-Who": "me", "user-agent": "mine"}),
        timeout=1,
    )
    ask(endpoint_of(upstream))
    (seen,) = upstream.requests
    assert (seen.method, seen.headers["host"], seen.headers["x-who"]) == ("POST", upstream.address, "me")
    assert (seen.headers["user-agent"], seen.headers["content-length"]) == ("mine", "0")


@pytest.mark.parametrize("path", ["/hole", "/drip-headers"])
def test_what_is_not_answered_in_time_has_failed(path, upstream):
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        http(path, timeout=0.3)(endpoint_of(upstream))
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/garbage", "not HTTP"),
        ("/eof-headers", "ended inside its headers"),
        ("/close", "ended inside its headers"),
        ("/early-for-ever", "too many interim answers"),
        ("/huge-headers", "too long"),
        ("/reset", "reset"),
    ],
)
def test_what_is_no_answer_has_failed(path, says, upstream):
    with pytest.raises(OSError, match=says):
        http(path)(endpoint_of(upstream))


def test_an_interim_answer_is_not_the_answer(upstream):
    http("/early")(endpoint_of(upstream))


def test_a_body_is_not_read(upstream):
    upstream.answers["endless"] = _then(CHUNKED, end="hold")
    http("/endless", timeout=1.0)(endpoint_of(upstream))


def test_a_connection_is_enough_for_tcp_and_a_refused_one_is_not(upstream):
    Tcp(timeout=1.0)(endpoint_of(upstream))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        Tcp(timeout=1.0)(Endpoint(f"127.0.0.1:{port}"))


def test_no_time_left_is_no_answer():
    with pytest.raises(TimeoutError):
        asking.left(1.0, lambda: 2.0)


# TLS


@pytest.fixture
def trusted(authority, tmp_path):
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def test_tls_is_checked_by_the_services_name(tls_upstream, trusted):
    upstream = tls_upstream("inventory")
    tls = Tls(TlsOptions("inventory", trusted))
    http(tls=tls)(endpoint_of(upstream))
    Tcp(timeout=2.0, tls=tls)(endpoint_of(upstream))
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        http(tls=Tls(TlsOptions("billing", trusted)))(endpoint_of(upstream))


def test_who_speaks_no_tls_has_failed(upstream, trusted):
    with pytest.raises(OSError):
        http(tls=Tls(TlsOptions("inventory", trusted)), timeout=0.5)(endpoint_of(upstream))


# A function of the user's


def test_a_function_says_so_by_what_it_returns_or_raises():
    endpoint, seen = Endpoint("a:1"), []
    Called(lambda each: seen.append(each) or True)(endpoint)
    assert seen == [endpoint]
    with pytest.raises(ValueError, match="the check says None"):
        Called(lambda each: None)(endpoint)
    with pytest.raises(ZeroDivisionError):
        Called(lambda each: 1 / 0)(endpoint)


def test_nobody_is_left_waiting(upstream):
    http()(endpoint_of(upstream))
    assert not [each for each in threading.enumerate() if each.name.startswith("meshware-hand")]
