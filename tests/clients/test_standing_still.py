"""What we stood still ourselves is no part of what an answer took, to its headers or to its end, whichever client."""

from __future__ import annotations

from math import inf
from types import SimpleNamespace

import pytest

from meshware.outbound import heartbeat

SLEPT, STOOD = 0.4, 0.2


class Ear:
    """What an answer took to its headers, and to its end."""

    def __init__(self):
        self.took = []

    def on_answer(self, call, attempt, outcome, step, now):
        self.took.append(outcome.elapsed)

    def on_end(self, call, attempt, ending, wire, now):
        self.took.append(wire)


@pytest.fixture
def standing(heard, upstream, monkeypatch):
    """A mesh that always hears that it stood still, on threads and on loops."""
    mesh, ear = heard(Ear(), endpoints=[upstream.address])
    lateness = SimpleNamespace(overdue_at=-inf, ended=-inf, since=lambda began, now: STOOD)
    mesh.services["inventory"].lateness = lateness
    beating = SimpleNamespace(lateness=lateness, begin=lambda call: None, end=lambda call: None)
    monkeypatch.setattr(heartbeat, "heart", lambda: beating)
    return mesh, ear


def test_it_is_taken_off(standing, client_of):
    mesh, ear = standing
    assert client_of(mesh).get(f"http://inventory/sleep/{SLEPT}").text == "ok"
    mesh.services["inventory"].settle(mesh.clock())
    assert len(ear.took) == 2
    assert all(SLEPT - STOOD <= each < SLEPT for each in ear.took)
