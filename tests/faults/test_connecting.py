"""Endpoints that cannot be connected to, for real, through requests."""

from __future__ import annotations

import gc
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
