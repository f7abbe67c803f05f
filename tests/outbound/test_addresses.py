"""Connecting to a name with several addresses: one time for all of them."""

from __future__ import annotations

import socket
import time

import pytest

from meshware.outbound.addresses import connected


@pytest.fixture
def resolved(monkeypatch):
    """`resolved("127.0.0.1", "::1")`: every name has these addresses from now on."""

    def resolve(*hosts):
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, 80, 0, 0))
            if ":" in host
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 80))
            for host in hosts
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)

    return resolve


class Deaf:
    """Connects to nothing: each try takes what it is given, or less."""

    def __init__(self, *, takes=1.0):
        self.tried = []
        self.takes = takes

    def __call__(self, address, seconds):
        self.tried.append(address)
        time.sleep(min(self.takes, seconds))
        raise TimeoutError(f"{address} does not answer")


def test_all_addresses_share_the_time(resolved):
    hosts = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
    resolved(*hosts)
    deaf, began = Deaf(), time.monotonic()
    with pytest.raises(TimeoutError, match=r"192\.0\.2\.4"):
        connected(("many.example", 80), deaf, within=0.1)
    assert time.monotonic() - began < 0.19
    assert deaf.tried == [(each, 80) for each in hosts]


def test_what_one_does_not_use_is_for_the_next(resolved):
    resolved("192.0.2.1", "192.0.2.2", "192.0.2.3")
    given = []

    def refused(address, seconds):
        given.append(seconds)
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        connected(("many.example", 80), refused, within=6.0)
    assert given == pytest.approx([2.0, 3.0, 6.0], abs=0.5)


def test_no_other_is_tried_when_the_time_is_over(resolved):
    resolved("192.0.2.1", "192.0.2.2")
    tried = []

    def late(address, seconds):
        tried.append(address)
        time.sleep(0.03)  # a client that does not keep its time
        raise TimeoutError

    with pytest.raises(TimeoutError):
        connected(("many.example", 80), late, within=0.02)
    assert len(tried) == 1


def test_the_next_address_is_tried_and_each_once(resolved):
    resolved("192.0.2.1", "192.0.2.1", "2001:db8::1")
    tried = []

    def connect(address, seconds):
        tried.append(address)
        if address[0] == "192.0.2.1":
            raise ConnectionRefusedError
        return "connected"

    assert connected(("many.example", 80), connect, within=1.0) == "connected"
    assert tried == [("192.0.2.1", 80), ("2001:db8::1", 80)]


def test_the_error_of_the_last_one_is_raised(resolved):
    resolved("192.0.2.1", "192.0.2.2")

    def refused(address, seconds):
        raise ConnectionRefusedError(address[0])

    with pytest.raises(ConnectionRefusedError, match=r"192\.0\.2\.2"):
        connected(("many.example", 80), refused, within=1.0)


def test_a_name_that_took_all_the_time_to_resolve_is_tried_once(resolved):
    resolved("192.0.2.1", "192.0.2.2")
    deaf = Deaf()
    with pytest.raises(TimeoutError):
        connected(("many.example", 80), deaf, within=0.0)
    assert len(deaf.tried) == 1


@pytest.mark.parametrize("name", ["no-such-host.invalid", "x" * 70 + ".example"])
def test_a_name_that_is_unknown_is_the_clients_to_refuse(name):
    def connect(address, seconds):
        raise LookupError(address[0])

    with pytest.raises(LookupError, match=name):
        connected((name, 80), connect, within=1.0)
