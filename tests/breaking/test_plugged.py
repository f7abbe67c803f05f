"""A breaker that a plugin brings: the settings name it, and it decides alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from settings.refusing import one_service, refusal
from world import World

from meshware import CircuitOpen, plugins
from meshware.core.events import CircuitClosed, CircuitOpened, PluginFailed
from meshware.core.outcome import Ending, Verdict
from meshware.settings.load import load
from meshware.testing import check_breaker


class InARow:
    """Opens after so many failures in a row, for `rest` seconds; then one call decides."""

    def __init__(self, *, failures=2, rest=10.0):
        self.failures, self.rest, self.bodies = failures, rest, []
        self.turn(None)

    def turn(self, opened):
        self.row, self.opened, self.trial, self.epoch = 0, opened, None, object()

    def admit(self, now):
        if self.opened is None:
            return SimpleNamespace(trial=False, epoch=self.epoch)
        if now < self.opened + self.rest or self.trial is not None:
            return None
        self.trial = SimpleNamespace(trial=True, epoch=self.epoch)
        return self.trial

    def record(self, lease, verdict, now):
        if lease.epoch is not self.epoch:
            return
        self.row = self.row + 1 if verdict is Verdict.FAILURE else 0
        if self.row >= self.failures or (lease.trial and self.row):
            self.turn(now)
        elif lease.trial:
            self.turn(None)

    def release(self, lease, now):
        self.trial = None if lease is self.trial else self.trial

    def until(self, now):
        return None if self.opened is None else self.opened + self.rest


class WithBodies(InARow):
    """Hears of bodies too."""

    def body(self, lease, broken, now):
        self.bodies.append(broken)


@pytest.fixture(autouse=True)
def named(monkeypatch):
    """The names of this page, forgotten after each test."""
    monkeypatch.setattr(plugins, "_registered", {})
    plugins.register(plugins.BREAKERS, "in_a_row", InARow)
    plugins.register(plugins.BREAKERS, "with_bodies", WithBodies)


def world(breaker="in_a_row"):
    return World(circuit={"breaker": breaker, "calls": 1000}, ejection={"enabled": False})


def failed(made):
    call = made.call("POST")
    made.answer(call, call.begin(made.now), 500)


def kinds(made):
    return [type(each) for each in made.events if isinstance(each, CircuitOpened | CircuitClosed)]


def test_the_example_of_this_page_keeps_to_the_contract():
    check_breaker(InARow)


def test_it_refuses_calls_once_it_is_open_and_is_told_of():
    made = world({"in_a_row": {"failures": 3, "rest": 5.0}})
    for _ in range(3):
        failed(made)
    with pytest.raises(CircuitOpen) as caught:
        made.call().begin(made.now)
    assert caught.value.wait == pytest.approx(5.0)
    assert kinds(made) == [CircuitOpened]


def test_a_trial_that_succeeds_closes_it():
    made = world()
    failed(made)
    failed(made)
    made.pass_time(10.0)
    made.succeed()
    made.succeed()
    assert kinds(made) == [CircuitOpened, CircuitClosed]


def test_a_trial_that_was_cancelled_is_given_back():
    made = world()
    failed(made)
    failed(made)
    made.pass_time(10.0)
    call = made.call()
    call.abandon(call.begin(made.now), made.now)
    made.service.settle(made.now)
    made.succeed()
    assert kinds(made) == [CircuitOpened, CircuitClosed]


def test_one_that_asks_for_bodies_hears_of_them():
    made = world("with_bodies")
    made.succeed()
    call = made.call()
    attempt = call.begin(made.now)
    made.answer(call, attempt)
    made.read(call, attempt, Ending.BROKEN)
    assert made.service.circuit._breaker.bodies == [False, True]


def test_each_service_has_one_of_its_own():
    settings = load(
        {
            "defaults": {"circuit": {"breaker": "in_a_row"}},
            "services": {"shop": {"endpoints": ["a:1"]}, "stock": {"endpoints": ["b:1"]}},
        }
    )
    assert settings.services["shop"].circuit.breaker.name == "in_a_row"
    made, other = world(), world()
    failed(made)
    failed(made)
    other.succeed()
    assert made.service.circuit._breaker is not other.service.circuit._breaker


def test_what_it_raises_lets_the_call_through(monkeypatch):
    def broken(*_):
        raise LookupError("no idea")

    made = world()
    for method in ("admit", "record", "until"):
        monkeypatch.setattr(InARow, method, broken)
    made.succeed(3)
    assert {each.plugin for each in made.events if isinstance(each, PluginFailed)} == {"circuit"}


@pytest.mark.parametrize(
    ("breaker", "said"),
    [
        ("in_a_rw", "one of in_a_row, with_bodies"),
        ({"in_a_row": {"failure": 3}}, "in_a_row takes failures, rest, not 'failure'"),
        ({"in_a_row": {}, "with_bodies": {}}, "a breaker's name, or `{name: {settings}}`"),
        ({"in_a_row": 5}, "a breaker's name, or `{name: {settings}}`"),
    ],
)
def test_one_that_is_not_there_or_refuses_its_settings_is_refused(breaker, said):
    (problem,) = refusal(one_service(circuit={"breaker": breaker}))
    assert problem.path == "services.shop.circuit.breaker"
    assert said in problem.expected


def test_a_class_that_is_no_breaker_is_refused():
    plugins.register(plugins.BREAKERS, "half", type("Half", (), {"admit": lambda *_: None, "until": lambda *_: None}))
    (problem,) = refusal(one_service(circuit={"breaker": "half"}))
    assert "'half' has no `record`, `release`" in problem.expected
