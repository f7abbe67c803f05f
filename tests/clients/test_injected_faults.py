"""Injected faults through the real clients: what the caller gets, and whether anybody is blamed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from clients.calling import BROKEN, at_rest, source_of
from core.policies import Hedging
from faults.upstream import in_flight, settle

import meshware
from meshware.core.fault import Fault, Ordered
from meshware.core.lateness import Lateness
from meshware.core.outcome import Ending
from meshware.core.policy import Observer


class Chances:
    """Draws these, and the last of them for ever."""

    def __init__(self, *values):
        self.values = list(values)

    def random(self):
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


class Ear(Observer):
    def __init__(self):
        self.answers, self.injections, self.endings = [], [], []

    def on_answer(self, call, attempt, outcome, step, now):
        took = outcome.elapsed + attempt.stood  # a busy machine may stand still, which is nobody's time
        self.answers.append((outcome.status or outcome.cause, outcome.injected, took))

    def on_fault(self, call, injection, now):
        self.injections.append(injection)

    def on_end(self, call, attempt, ending, wire, now):
        self.endings.append((ending, wire))


@pytest.fixture
def endangered(heard, upstreams):
    """`endangered({...}, ...)`: a mesh of two endpoints with these faults, and an ear."""

    def make(*faults, **settings):
        settings = {"endpoints": [each.address for each in upstreams[:2]], "strategy": "round_robin", **settings}
        return heard(Ear(), faults=list(faults), **settings)

    return make


def settled(mesh):
    """The service, with what endings left behind worked off."""
    settle(mesh)
    return mesh.services["inventory"]


def test_an_abort_is_an_answer_that_nobody_sent(endangered, client_of, upstreams):
    mesh, ear = endangered({"abort": 503})
    answer = client_of(mesh).get("http://inventory/ok")
    assert (answer.status_code, answer.text) == (503, "an injected fault\n")
    assert source_of(answer, "x-meshware-fault") == "fault"
    assert source_of(answer) is None
    assert [each.end for each in ear.injections] == [Fault(abort=503)]
    assert all(each.requests == [] for each in upstreams)


def test_a_reset_is_the_clients_own_error_and_nothing_is_sent(endangered, client_of, upstreams):
    mesh, ear = endangered({"reset": True})
    with pytest.raises(BROKEN, match="injected"):
        client_of(mesh).get("http://inventory/ok")
    assert all(each.requests == [] for each in upstreams)
    assert ear.answers == []


def test_faults_of_calls_blame_nobody(endangered, client_of):
    mesh, _ = endangered({"abort": 500, "when": {"path": "/bad"}}, {"reset": True, "when": {"path": "/worse"}})
    client = client_of(mesh)
    tokens = mesh.services["inventory"].budget.tokens
    for _ in range(25):
        assert client.get("http://inventory/bad").status_code == 500
        with pytest.raises(BROKEN):
            client.get("http://inventory/worse")
    service = settled(mesh)
    assert all(each["state"] == "available" for each in mesh.status()["inventory"].values())
    assert service.guard.failures == 0
    assert service.budget.tokens == tokens
    assert client.get("http://inventory/ok").text == "ok"


def test_a_delay_is_part_of_the_calls_time(endangered, client_of, upstreams):
    mesh, ear = endangered({"delay": 0.1}, timeout=5.0)
    began = time.monotonic()
    assert client_of(mesh).get("http://inventory/ok").text == "ok"
    assert time.monotonic() - began >= 0.1
    ((_, injected, elapsed),) = ear.answers
    assert not injected
    assert elapsed < 0.1 or time.monotonic() - began > 1.0  # the endpoint was as quick as ever
    assert sum(len(each.requests) for each in upstreams) == 1


def test_a_delay_beyond_the_deadline_ends_there_and_nothing_is_sent(endangered, client_of, upstreams):
    mesh, _ = endangered({"delay": 30}, {"abort": 503}, timeout=0.2)
    began = time.monotonic()
    with pytest.raises(meshware.DeadlineExceeded, match="nothing was sent"):
        client_of(mesh).get("http://inventory/ok")
    assert 0.2 <= time.monotonic() - began < 5.0
    assert all(each.requests == [] for each in upstreams)


def test_a_body_breaks_off(endangered, client_of):
    mesh, ear = endangered({"partial_body": 1000})
    client = client_of(mesh)
    with pytest.raises(BROKEN, match="breaks off"):
        client.get("http://inventory/big")
    assert client.get("http://inventory/ok").text == "ok"  # shorter than that
    settled(mesh)
    assert [ending for ending, _ in ear.endings] == [Ending.DROPPED, Ending.COMPLETE]
    assert in_flight(mesh) == 0
    assert mesh.services["inventory"].guard.failures == 0


def test_a_fallback_stands_in_for_an_injected_fault(endangered, client_of):
    fallback = {"static": {"body": "plan b"}}
    mesh, _ = endangered({"abort": 503, "when": {"path": "/a"}}, {"reset": True}, fallback=fallback)
    client = client_of(mesh)
    for path in "ab":
        answer = client.get(f"http://inventory/{path}")
        assert (answer.text, source_of(answer)) == ("plan b", "static")


def test_a_share_of_the_calls_is_hit(endangered, client_of):
    mesh, _ = endangered({"abort": 503, "percentage": 50})
    client = client_of(mesh)
    hit = sum(client.get("http://inventory/ok").status_code == 503 for _ in range(60))
    assert 10 < hit < 50  # chance: under one in ten million


# What counts is the endpoint's


def test_an_abort_that_counts_is_retried_and_learned_from(endangered, client_of, upstreams):
    mesh, ear = endangered({"abort": 503, "counts": True, "when": {"headers": {"x-bad": "1"}}}, retry={"attempts": 2})
    answer = client_of(mesh).get("http://inventory/ok", headers={"x-bad": "1"})
    assert answer.status_code == 503
    assert source_of(answer, "x-meshware-fault") == "fault"
    assert [each[:2] for each in ear.answers] == [(503, True), (503, True)]
    service = settled(mesh)
    assert service.guard.failures > 0
    assert in_flight(mesh) == 0
    assert all(each.requests == [] for each in upstreams)


def test_resets_that_count_have_endpoints_ejected(endangered, client_of):
    mesh, ear = endangered({"reset": True, "counts": True}, retry={"attempts": 1}, ejection={"consecutive": 2})
    client = client_of(mesh)
    for _ in range(8):
        with pytest.raises(BROKEN):
            client.get("http://inventory/ok")
    states = [each["state"] for each in mesh.status()["inventory"].values()]
    assert any("ejected" in state for state in states)
    assert all(injected for _, injected, _ in ear.answers)


def test_a_delay_that_counts_is_the_endpoints_time(endangered, client_of, monkeypatch):
    monkeypatch.setattr(Lateness, "since", lambda *_: 0.0)  # what this process stands still would be taken off
    mesh, ear = endangered({"delay": 0.15, "counts": True}, timeout=5.0)
    assert client_of(mesh).get("http://inventory/ok").text == "ok"
    ((status, injected, elapsed),) = ear.answers
    assert (status, injected) == (200, True)
    assert elapsed >= 0.15
    settled(mesh)
    ((ending, wire),) = ear.endings
    assert ending is Ending.COMPLETE
    assert wire >= 0.15


def test_a_delay_that_counts_is_cut_at_the_deadline(endangered, client_of):
    mesh, ear = endangered({"delay": 30, "counts": True}, timeout=0.2)
    began = time.monotonic()
    with pytest.raises(meshware.DeadlineExceeded):
        client_of(mesh).get("http://inventory/ok")
    assert time.monotonic() - began < 5.0
    assert in_flight(mesh) == 0
    assert ear.answers[0][1]


def test_a_delay_that_counts_may_be_followed_by_more(endangered, client_of):
    mesh, ear = endangered(
        {"delay": 0.05, "counts": True}, {"abort": 500, "counts": True}, timeout=5.0, retry={"attempts": 1}
    )
    assert client_of(mesh).get("http://inventory/ok").status_code == 500
    assert ear.answers[0][2] >= 0.05


def test_a_body_that_breaks_off_and_counts_is_a_failure(endangered, client_of):
    mesh, ear = endangered({"partial_body": 10, "counts": True})
    with pytest.raises(BROKEN, match="breaks off"):
        client_of(mesh).get("http://inventory/big")
    service = settled(mesh)
    assert [ending for ending, _ in ear.endings] == [Ending.BROKEN]
    assert service.guard.failures > 0
    assert in_flight(mesh) == 0


def test_an_attempt_that_fails_of_itself_has_no_body_to_break_off(endangered, client_of):
    mesh, ear = endangered({"partial_body": 10, "counts": True}, retry={"attempts": 1})
    with pytest.raises(BROKEN):
        client_of(mesh).get("http://inventory/reset")
    assert ear.answers[0][1]


def test_a_first_attempt_that_is_held_up_loses_to_its_hedge(endangered, client_of):
    mesh, _ = endangered({"delay": 30.0, "counts": True}, timeout=60.0, retry={"attempts": 1})
    service = mesh.services["inventory"]
    service.hedging, service.rng = Hedging(0.05), Chances(0.5, 0.95)  # the first is hit, its hedge is not
    service.faults.faults = (replace(service.faults.faults[0], share=0.9),)
    began, client = time.monotonic(), client_of(mesh)
    assert client.get("http://inventory/ok").text == "ok"
    assert time.monotonic() - began < 10.0
    assert at_rest(mesh, client)


# What a trusted caller asks for


def test_an_ordered_fault_befalls_the_calls_of_its_request_only(endangered, client_of):
    mesh, _ = endangered()
    mesh.reload({**mesh.settings.model_dump(exclude_unset=True), "fault_headers": True})
    client = client_of(mesh)
    with meshware.request_context(deadline=5.0) as context:
        context.fault = Ordered("inventory", Fault(abort=418))
        assert client.get("http://inventory/ok").status_code == 418
        context.fault = Ordered("pricing", Fault(abort=418))
        assert client.get("http://inventory/ok").text == "ok"
    assert client.get("http://inventory/ok").text == "ok"
