"""What requests' own exceptions mean to the core, from real ones."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Cause
from meshware.outbound.reaper import Cut
from meshware.outbound.requests_errors import cause_of
from meshware.outbound.wire import Wire


def test_a_refused_connection_is_the_endpoint_s_and_not_a_local_cause():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        with pytest.raises(requests.ConnectionError) as caught:
            requests.get(f"http://127.0.0.1:{port}/", timeout=5)
    later = time.monotonic() + 10
    wire = Wire(
        caught.value.request, Cut(later), connect_for=10.0, patience=10.0, endpoint=Endpoint(f"127.0.0.1:{port}")
    )
    assert cause_of(caught.value, wire) is Cause.REFUSED


def test_a_read_timeout_is_a_timeout_though_urllib3_counts_it_among_pool_errors(session_of, mesh_of, upstream):
    mesh = mesh_of({"retry": {"attempts": 1}}, inventory=[upstream])
    heard = []
    mesh.services["inventory"].on_answer = (lambda call, attempt, outcome, step, now: heard.append(outcome.cause),)
    with pytest.raises(requests.ReadTimeout):
        session_of(mesh).get("http://inventory/hole", timeout=(5.0, 0.1))
    assert heard == [Cause.TIMEOUT]
