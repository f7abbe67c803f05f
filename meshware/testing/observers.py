"""What every observer must keep to: it sees calls of every kind and disturbs none."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random
from time import perf_counter
from typing import Any

from meshware.core import events
from meshware.core.availability import Bar
from meshware.core.call import Call
from meshware.core.errors import NoEndpoint
from meshware.core.fault import Fault, Injection
from meshware.core.mirrored import Mirrored
from meshware.core.outcome import Cause, Ending, Outcome
from meshware.core.policy import Observer
from meshware.core.reply import Reply
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.settings.load import load

NAME = "checked"
CALLS = 40
HOOKS = tuple(name for name in vars(Observer) if name.startswith("on_"))
SLOWEST = 0.02
"""Seconds that even the fastest of many calls of one hook took: then it blocks."""

_SETTINGS = {"services": {NAME: {"endpoints": ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"]}}}


def check_observer(make: Callable[[], Any]) -> None:
    """Raise AssertionError unless what `make()` gives is fit for use as an observer.

    It is told of calls that succeed, fail, are retried, abandoned or refused, and of every event there is. None of its
    hooks may raise, block, or leave a header that cannot be sent; a name like `on_` that is no hook is a mistake.
    """
    observer = make()
    mine = [name for name in dir(type(observer)) if name.startswith("on_")]
    strange = sorted(set(mine) - set(HOOKS))
    assert not strange, f"no hook is named {', '.join(strange)} (there are {', '.join(HOOKS)})"
    assert mine, f"it has no hook (there are {', '.join(HOOKS)})"
    watched = _Watched(observer)
    _calls(watched)
    for event in _every_event():
        watched.on_event(event)
    for hook, fastest in watched.fastest.items():
        assert fastest < SLOWEST, f"{hook} takes {fastest:.3f} s: it must not block"


class _Watched(Observer):
    """Hands everything on, and looks at what comes of it."""

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self.fastest: dict[str, float] = {}
        self.wrong: AssertionError | None = None

    def _tell(self, hook: str, *facts: Any) -> None:
        found = getattr(self._observer, hook, None)
        if found is None or self.wrong is not None:
            return
        began = perf_counter()
        try:
            found(*facts)
        except Exception as error:
            self.wrong = AssertionError(f"{hook} failed: {type(error).__name__}: {error}")
            raise self.wrong from error
        self.fastest[hook] = min(self.fastest.get(hook, inf), perf_counter() - began)

    def on_begin(self, call: Any, attempt: Any, headers: dict[str, str], now: float) -> None:
        self._tell("on_begin", call, attempt, headers, now)
        for name, value in headers.items():
            if not _sendable(name, value):
                self.wrong = AssertionError(f"on_begin left a header that cannot be sent: {name!r}: {value!r}")

    def on_answer(self, *facts: Any) -> None:
        self._tell("on_answer", *facts)

    def on_end(self, *facts: Any) -> None:
        self._tell("on_end", *facts)

    def on_abandon(self, *facts: Any) -> None:
        self._tell("on_abandon", *facts)

    def on_fallback(self, *facts: Any) -> None:
        self._tell("on_fallback", *facts)

    def on_fault(self, *facts: Any) -> None:
        self._tell("on_fault", *facts)

    def on_mirror(self, *facts: Any) -> None:
        self._tell("on_mirror", *facts)

    def on_done(self, *facts: Any) -> None:
        self._tell("on_done", *facts)

    def on_event(self, event: object) -> None:
        self._tell("on_event", event)


def _sendable(name: object, value: object) -> bool:
    return all(
        isinstance(each, str) and each.isascii() and not set(each) & {"\r", "\n", "\0"} for each in (name, value)
    ) and bool(name)


def _calls(watched: _Watched) -> None:
    """Calls of every kind, one after the other, under a clock moved by hand."""
    now = 1000.0
    mesh = Mesh(load(_SETTINGS), observers=[watched], rng=Random(1), clock=lambda: now)
    service = mesh.services[NAME]
    for number in range(CALLS):
        now += 1.0
        if number == CALLS - 1:  # the last one has nowhere to go
            for endpoint in service.endpoints:
                endpoint.availability.bar(Bar.HELD)
        call = Call(service, Request("GET", NAME, f"/items/{number % 3}", {}))
        try:
            attempt = call.begin(now)
        except NoEndpoint:
            attempt = None
        if attempt is not None:
            for begun in service.on_begin:
                begun(call, attempt, {"accept": "*/*"}, now)
            _end(call, attempt, number, now)
            for told in service.on_fallback:
                told(call, Reply(200, (), b"", "static"), now)
            for told in service.on_fault:
                told(call, Injection(0.1, Fault(abort=503)), now)
            for told in service.on_mirror:
                told(call, Mirrored("copies", "elsewhere", "full"), now)
            service.settle(now)
        assert watched.wrong is None, watched.wrong


def _end(call: Call, attempt: Any, number: int, now: float) -> None:
    if number % 5 == 4:
        call.abandon(attempt, now)
        return
    error = ConnectionError("refused")
    failed = Outcome(elapsed=0.01, cause=Cause.RESET, error=error)
    outcome = failed if number % 5 == 3 else Outcome(elapsed=0.01, status=503 if number % 5 == 2 else 200)
    step = call.answered(attempt, outcome, now)
    call.ended(attempt, Ending.BROKEN if number % 5 == 1 else Ending.COMPLETE, 0.01, now)
    held = getattr(step, "attempt", attempt)
    if held is not attempt:
        call.answered(held, Outcome(elapsed=0.01, status=200), now)
        call.ended(held, Ending.COMPLETE, 0.01, now)


def _every_event() -> list[events.Event]:
    at: Any = {"service": NAME, "at": 1000.0}
    return [
        events.EndpointEjected(**at, address="192.0.2.1:80", reason="3 failures in a row", until=1001.0),
        events.EndpointEjected(**at, address="192.0.2.1:80", reason="connection refused", until=inf),
        events.EndpointRestored(**at, address="192.0.2.1:80", away=1.0),
        events.FaultInjected(**at, fault="abort 503", until=inf),
        events.CircuitOpened(**at, until=1001.0),
        events.CircuitClosed(**at),
        events.GuardTurned(**at, on=True),
        events.PanicTurned(**at, on=False),
        events.EndpointsChanged(**at, added=("192.0.2.1:80",), removed=()),
        events.PluginFailed(**at, plugin="strategy", error="LookupError: no idea"),
        events.ShiftChanged(**at, shift="v2", to="elsewhere", state="reverted", percentage=0.0, reason="by hand"),
        events.SettingsReloaded(**at),
        events.SettingsRefused(**at, error="1 problem"),
    ]
