"""Endpoints that cannot be connected to, for real, through requests."""

from __future__ import annotations

import gc
import socket
import time

import pytest
import requests
from faults.upstream import in_flight, never_accepting

import meshware
from meshware.outbound import pools

LATE = 2.0
"""Seconds after a deadline that a busy machine may need."""


@pytest.fixture
def deaf():
    with never_accepting() as address:
        yield address


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connect_that_never_ends_ends_at_the_deadline(mesh_of, session_of, deaf, scheme):
    mesh = mesh_of({"tls": {}} if scheme == "https" else {}, inventory=[deaf])
    began = time.monotonic()
    with pytest.raises(meshware.DeadlineExceeded) as failed:
        session_of(mesh).get(f"{scheme}://inventory/ok", timeout=0.3)
    assert 0.25 <= time.monotonic() - began <= 0.3 + LATE
    assert isinstance(failed.value, requests.Timeout)
    assert in_flight(mesh) == 0


@pytest.mark.row("F02")
def test_the_connect_timeout_leaves_time_for_another_endpoint(mesh_of, session_of, deaf, upstream):
    mesh = mesh_of({"connect_timeout": 0.1}, inventory=[deaf, upstream])
    session = session_of(mesh)
    assert [session.get("http://inventory/ok").text for _ in range(6)] == ["ok"] * 6
    assert in_flight(mesh) == 0


def test_a_connection_that_comes_up_after_the_deadline_is_closed_before_hands_are_shaken(
    monkeypatch, mesh_of, session_of, tls_upstream
):
    """CPython's `wrap_socket` leaves a socket open that was shut down before it (a ResourceWarning)."""
    connect = pools.create_connection
    monkeypatch.setattr(pools, "create_connection", lambda *a, **k: (time.sleep(0.25), connect(*a, **k))[1])
    server = tls_upstream("inventory")
    mesh = mesh_of({"tls": {}, "retry": {"attempts": 1}}, inventory=[server])
    for _ in range(3):
        with pytest.raises(meshware.DeadlineExceeded):
            session_of(mesh).get("https://inventory/ok", timeout=0.1)
    gc.collect()
    assert server.let_go_within(LATE)
    assert server.requests == []
    assert in_flight(mesh) == 0


@pytest.fixture
def with_many_addresses(monkeypatch):
    """`many.example` has four addresses, all this machine's."""
    resolve = socket.getaddrinfo

    def resolved(host, port, *args, **options):
        if host in ("many.example", b"many.example"):
            return [
                (family, kind, number, name, (f"127.0.0.{last}", *address[1:]))
                for family, kind, number, name, address in resolve("127.0.0.1", port, *args, **options)
                for last in range(1, 5)
            ]
        return resolve(host, port, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.fixture
def deaf_everywhere():
    """Never accepting at any of this machine's loopback addresses."""
    with never_accepting("0.0.0.0") as address:
        yield "many.example:" + address.rpartition(":")[2]


def test_a_name_with_many_dead_addresses_ends_at_the_deadline(
    with_many_addresses, deaf_everywhere, mesh_of, session_of
):
    mesh = mesh_of({"retry": {"attempts": 1}}, inventory=[deaf_everywhere])
    began = time.monotonic()
    with pytest.raises(meshware.DeadlineExceeded):
        session_of(mesh).get("http://inventory/ok", timeout=0.7)
    assert time.monotonic() - began < 1.4
    assert in_flight(mesh) == 0


def test_a_name_with_many_dead_addresses_ends_at_the_deadline_in_httpx_too(
    with_many_addresses, deaf_everywhere, mesh_of, face_of
):
    mesh = mesh_of({"retry": {"attempts": 1}}, inventory=[deaf_everywhere])
    began = time.monotonic()
    with pytest.raises(meshware.DeadlineExceeded):
        face_of(mesh).get("http://inventory/ok", timeout=0.7)
    assert time.monotonic() - began < 1.4
    assert in_flight(mesh) == 0


def test_the_connect_timeout_is_for_all_addresses(with_many_addresses, deaf_everywhere, mesh_of, session_of, face_of):
    mesh = mesh_of({"connect_timeout": 0.5, "retry": {"attempts": 1}}, inventory=[deaf_everywhere])
    face = face_of(mesh)
    calls = {requests.ConnectTimeout: session_of(mesh), face.library.ConnectTimeout: face}
    for error, client in calls.items():
        began = time.monotonic()
        with pytest.raises(error):
            client.get("http://inventory/ok", timeout=5)
        assert time.monotonic() - began < 1.0
