"""check_observer passes what is fit for use, and says what is wrong with what is not."""

from __future__ import annotations

import time

import pytest

from meshware.core.policy import Observer
from meshware.telemetry.log import EventLog
from meshware.testing import check_observer


class Seeing(Observer):
    """Writes down what it is told of."""

    def __init__(self):
        self.seen = set()

    def on_begin(self, call, attempt, headers, now):
        headers["x-attempt"] = str(attempt.number)
        self.seen.add("begin")

    def on_answer(self, call, attempt, outcome, step, now):
        self.seen.add(outcome.status or outcome.cause)
        self.seen.add(type(step).__name__)

    def on_end(self, call, attempt, ending, wire, now):
        self.seen.add(ending.name)

    def on_abandon(self, call, attempt, now):
        self.seen.add("abandon")

    def on_done(self, call, error, now):
        self.seen.add(type(error).__name__)

    def on_event(self, event):
        self.seen.add(type(event).__name__)


def test_the_built_in_observers_are_fit_for_use():
    check_observer(EventLog)


def test_it_is_told_of_calls_of_every_kind_and_of_every_event():
    made = []
    check_observer(lambda: made.append(Seeing()) or made[0])
    assert made[0].seen >= {
        "begin", 200, 503, "Deliver", "Retry", "COMPLETE", "BROKEN", "abandon", "NoneType", "NoEndpoint",
        "ConnectionError",
        "EndpointEjected", "EndpointRestored", "CircuitOpened", "CircuitClosed", "GuardTurned", "PanicTurned",
        "EndpointsChanged", "PluginFailed", "SettingsReloaded", "SettingsRefused",
    }  # fmt: skip


def raising(hook):
    def fail(self, *facts):
        raise LookupError("no idea")

    return type("Odd", (), {hook: fail})


@pytest.mark.parametrize("hook", ["on_begin", "on_answer", "on_end", "on_abandon", "on_done", "on_event"])
def test_a_hook_that_raises_is_found(hook):
    with pytest.raises(AssertionError, match=f"{hook} failed: LookupError: no idea"):
        check_observer(raising(hook))


class Blocking(Observer):
    def on_done(self, call, error, now):
        time.sleep(0.025)


class Misspelt(Observer):
    def on_answered(self, *facts):
        pass


class Splitting(Observer):
    def on_begin(self, call, attempt, headers, now):
        headers["x-trace"] = "a\r\nHost: evil"


class Counting(Observer):
    def on_begin(self, call, attempt, headers, now):
        headers["x-attempt"] = attempt.number


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Blocking, "on_done takes .* must not block"),
        (Misspelt, "no hook is named on_answered"),
        (object, "it has no hook"),
        (Splitting, "cannot be sent: 'x-trace'"),
        (Counting, "cannot be sent: 'x-attempt': 1"),
    ],
)
def test_what_is_wrong_is_said(kind, said):
    with pytest.raises(AssertionError, match=said):
        check_observer(kind)
