"""What every strategy must keep to, built-in or a third party's: the same checks for both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from time import perf_counter
from typing import Any

from meshware.core.availability import Bar
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.events import PluginFailed
from meshware.core.outcome import Ending, Outcome
from meshware.core.policy import Observer
from meshware.core.request import Request
from meshware.core.service import Service
from meshware.mesh import Mesh
from meshware.settings.load import load

NAME = "checked"
SIZES = (1, 2, 3, 40)
CALLS = 200
SLOWEST = 0.02
"""Seconds that even the fastest of many picks took: then something blocks."""


def check_strategy(
    strategy: str | Mapping[str, Any], *, metadata: Callable[[int], Mapping[str, Any]] = lambda number: {}
) -> None:
    """Raise AssertionError unless this strategy is fit for use.

    `strategy` is what settings would say: a name, or `{name: {option: value}}`. `metadata(number)` is what the
    endpoints of the check have, numbered from 0. In fleets of 1 to 40 endpoints of all weights, over answers fast,
    slow and failing, each pick must be one of the available endpoints, must not raise, score NaN or block. Needs no
    network and takes no time but the strategy's own. Raises SettingsError where settings would be refused.
    """
    for size in SIZES:
        _Check(strategy, [metadata(number) for number in range(size)]).run()


class _Failures(Observer):
    """Keeps what the mesh says of a strategy that misbehaves."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def on_event(self, event: object) -> None:
        if isinstance(event, PluginFailed):
            self.errors.append(event.error)


class _Check:
    """One fleet under one strategy, with a clock moved by hand."""

    def __init__(self, strategy: str | Mapping[str, Any], metadata: list[Mapping[str, Any]]) -> None:
        self._now = 1000.0
        self._failures = _Failures()
        self._fastest = float("inf")
        policies = {"retry": {"attempts": 1}, "ejection": {"enabled": False}, "circuit": {"enabled": False}}
        policies["limits"] = {"enabled": False}
        endpoints = [
            {"address": f"192.0.2.{number + 1}:80", "weight": 1 + number % 3, "metadata": each}
            for number, each in enumerate(metadata)
        ]
        settings = load({"services": {NAME: {"strategy": strategy, "endpoints": endpoints, **policies}}})
        mesh = Mesh(settings, observers=[self._failures], rng=Random(len(metadata)), clock=lambda: self._now)
        self._service: Service = mesh.services[NAME]

    def run(self) -> None:
        for number in range(CALLS):
            self._call(number, failed=number % 7 == 0)
            self._pick()
        for endpoint in self._service.endpoints[1:]:
            endpoint.availability.bar(Bar.HELD)
            self._service.refresh(self._now)
            self._pick()
        for number in range(CALLS):
            self._call(number, failed=True)
            self._pick()
        assert self._fastest < SLOWEST, f"a pick takes {self._fastest:.3f} s: it must not block"

    def _call(self, number: int, *, failed: bool) -> None:
        """One call; a few bodies are never read, so that endpoints are busy."""
        call = self._made(number)
        attempt = call.begin(self._now)
        elapsed = 0.001 * (1 + number % 50)
        self._now += elapsed
        call.answered(attempt, Outcome(elapsed=elapsed, status=500 if failed else 200), self._now)
        if number % 5:
            call.ended(attempt, Ending.COMPLETE, elapsed, self._now)
        self._service.settle(self._now)
        self._fine()

    def _pick(self) -> None:
        """Ask the strategy itself: in a call, the stand-in would hide what is wrong."""
        call = self._made(0)
        call.now = self._now
        picker = self._service.picker
        self._fine()
        assert picker is not None
        began = perf_counter()
        try:
            picked = picker.pick(call)
        except Exception as error:
            raise AssertionError(f"the strategy failed: {type(error).__name__}: {error}") from error
        self._fastest = min(self._fastest, perf_counter() - began)
        known: tuple[Endpoint, ...] = self._service.endpoints
        assert any(picked is each for each in known), f"picked {picked!r}, which is not one of the endpoints"
        assert not picked.bars, f"picked {picked!r}, which was not among the endpoints of the last `picker(endpoints)`"

    def _made(self, number: int) -> Call:
        return Call(self._service, Request("GET", NAME, f"/items/page{number % 3}", {}))

    def _fine(self) -> None:
        assert not self._failures.errors, f"the strategy failed: {self._failures.errors[0]}"
