"""When the reaper comes late, or there is none, sockets' own timeouts end the reads, and callers see the same."""

from __future__ import annotations

import time

import pytest
from faults.upstream import in_flight

import meshware
from meshware.outbound.reaper import Reaper


@pytest.fixture(autouse=True)
def no_reaper(monkeypatch):
    monkeypatch.setattr(Reaper, "watch", lambda reaper, cut: None)


@pytest.mark.parametrize("path", ["hole", "stall-body"])
def test_a_deadline_without_the_reaper_is_still_told_as_one(mesh_of, session_of, upstream, path):
    mesh = mesh_of({"retry": {"attempts": 1}}, inventory=[upstream])
    began = time.monotonic()
    with pytest.raises(meshware.DeadlineExceeded):
        session_of(mesh).get(f"http://inventory/{path}", timeout=0.2)
    assert 0.15 <= time.monotonic() - began < 1.0
    assert upstream.let_go_within(2.0)
    assert in_flight(mesh) == 0
