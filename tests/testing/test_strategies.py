"""check_strategy passes what is fit for use, and says what is wrong with what is not."""

from __future__ import annotations

import random
import time

import pytest

from meshware import Mesh, SettingsError, plugins
from meshware.core.endpoint import Endpoint
from meshware.testing import check_strategy


@pytest.fixture
def check(monkeypatch):
    """Checks a class under a name that is forgotten after the test."""
    monkeypatch.setattr(plugins, "_registered", {})

    def check_class(kind, **options):
        Mesh.register("mine", kind)
        check_strategy("mine", **options)

    return check_class


class Any:
    """Picks at random."""

    def __init__(self):
        self.endpoints = ()

    def picker(self, endpoints):
        made = type(self)()
        made.endpoints = tuple(endpoints)
        return made

    def pick(self, call):
        return self.endpoints[int(call.rng.random() * len(self.endpoints))]


@pytest.mark.parametrize("strategy", ["round_robin", "random", "least_request", "peak_ewma", {"peak_ewma": {"tau": 1}}])
def test_the_built_in_strategies_are_fit_for_use(strategy):
    check_strategy(strategy)


def test_a_strategy_that_is_fit_for_use_passes(check):
    check(Any)


def test_what_settings_would_refuse_is_refused():
    with pytest.raises(SettingsError):
        check_strategy({"peak_ewma": {"tau": -1}})


def test_endpoints_have_the_metadata_that_the_strategy_needs(check):
    class Priced:
        needs = ()

        def score(self, endpoint, call):
            return endpoint.metadata["price"]

    check(Priced, metadata=lambda number: {"price": number})
    with pytest.raises(AssertionError, match="KeyError: 'price'"):
        check_strategy("mine")


class Stranger(Any):
    def pick(self, call):
        return Endpoint("192.0.2.1:80")


class Nothing(Any):
    def pick(self, call):
        return None


class Stale(Any):
    """Remembers the first endpoints for ever."""

    def picker(self, endpoints):
        self.endpoints = self.endpoints or tuple(endpoints)
        return self


class Raising(Any):
    def pick(self, call):
        raise LookupError("no idea")


class Making(Any):
    def picker(self, endpoints):
        raise LookupError("no picker")


class Blocking(Any):
    def pick(self, call):
        time.sleep(0.025)
        return super().pick(call)


class NotANumber:
    needs = ()

    def score(self, endpoint, call):
        return float("nan")


class LearningBadly(Any):
    def on_answer(self, call, attempt, outcome, step, now):
        raise LookupError("what answer")


class FailingUnderLoad:
    needs = ()

    def score(self, endpoint, call):
        return 1 / (endpoint.load < 3)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Stranger, "which is not one of the endpoints"),
        (Nothing, "NoneType"),
        (Stale, "which was not among the endpoints"),
        (Raising, "LookupError: no idea"),
        (Making, "LookupError: no picker"),
        (NotANumber, "must be finite"),
        (LearningBadly, "LookupError: what answer"),
        (FailingUnderLoad, "ZeroDivisionError"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_is_wrong_is_said(check, kind, said):
    with pytest.raises(AssertionError, match=said):
        check(kind)


def test_a_pick_that_blocks_is_found(check, monkeypatch):
    monkeypatch.setattr("meshware.testing.strategies.SIZES", (2,))
    monkeypatch.setattr("meshware.testing.strategies.CALLS", 5)
    with pytest.raises(AssertionError, match="it must not block"):
        check(Blocking)


def test_a_check_disturbs_nobodys_chance():
    before = random.getstate()
    check_strategy("random")
    assert random.getstate() == before
