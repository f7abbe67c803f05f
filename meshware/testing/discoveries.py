"""What every discovery must keep to: whole answers, in time, and an end when told to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from meshware.core.policy import Endpoints
from meshware.discovery import source
from meshware.discovery.answer import seconds
from meshware.settings.sections.endpoints import EndpointSettings

AT_ONCE = 0.5
"""Seconds that making one may take: settings are checked by making one, at the start of an app."""

EARLY = 0.05
"""Seconds for which a watch that has published is observed: one that is about to return does it in that time."""

STOPPED = 2.0
"""Seconds within which a watch ends once it is told to."""


def check_discovery(make: Callable[[], Any]) -> None:
    """Raise AssertionError unless what `make()` gives is fit for use as a discovery.

    `make` is called more than once; what it gives must find at least one endpoint, so let it ask a server of the
    test's. Each answer must be `Endpoints`, with no entry that settings would refuse, none named twice, and a sound
    `valid_for`; `fetch` must be callable again and from any thread, `watch` must publish at once, end when told to
    stop, and publish nothing afterwards.
    """
    discovery = _made(make)
    fetches, watches = (callable(getattr(discovery, name, None)) for name in ("fetch", "watch"))
    assert fetches or watches, "a discovery has `fetch(now)` or `watch(publish, stop)`"
    if fetches:
        _check_fetch(discovery)
    if watches:
        _check_watch(_made(make))


def _made(make: Callable[[], Any]) -> Any:
    began = time.monotonic()
    made = make()
    elapsed = time.monotonic() - began
    assert elapsed < AT_ONCE, f"making it takes {elapsed:.1f} s: it must not ask anybody yet"
    return made


def _check_fetch(discovery: Any) -> None:
    first = _fetched(discovery)
    before = [repr(each) for each in first.found]
    second = _fetched(discovery)
    if isinstance(second.found, list):
        second.found.clear()
    assert [repr(each) for each in first.found] == before, "two answers share one list: each must be its own"
    _sound(_fetched(discovery))


def _fetched(discovery: Any) -> Endpoints:
    """One answer, asked for on a thread of its own, as the mesh does."""
    said: list[Any] = []

    def ask() -> None:
        try:
            said.append(discovery.fetch(time.monotonic()))
        except Exception as error:
            said.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(source.LIMIT)
    assert said, f"no answer from fetch in {source.LIMIT:g} s"
    assert not isinstance(said[0], Exception), f"fetch failed: {type(said[0]).__name__}: {said[0]}"
    return _sound(said[0])


def _sound(found: Any) -> Endpoints:
    assert isinstance(found, Endpoints), f"{found!r} is no `meshware.discovery.Endpoints`"
    seconds(found.valid_for)
    assert found.valid_for > 0, f"valid_for is {found.valid_for!r}: more than 0 is needed"
    assert len(found.found), "it finds nothing: for the check there must be something to find"
    addresses = []
    for entry in found.found:
        try:
            addresses.append(EndpointSettings.read(entry).address)
        except ValueError as error:
            raise AssertionError(f"{entry!r} is no endpoint: {error}") from error
    twice = sorted({each for each in addresses if addresses.count(each) > 1})
    assert not twice, f"named twice: {', '.join(twice)}"
    return found


def _check_watch(discovery: Any) -> None:
    published: list[Any] = []
    faults: list[BaseException] = []
    came, stop = threading.Event(), threading.Event()

    def publish(found: Any) -> None:
        published.append(found)
        came.set()

    def watch() -> None:
        try:
            discovery.watch(publish, stop)
        except BaseException as error:
            faults.append(error)
        finally:
            came.set()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    came.wait(source.LIMIT)
    thread.join(EARLY)
    ended = not thread.is_alive()
    stop.set()
    thread.join(STOPPED)
    assert not faults, f"watch failed: {type(faults[0]).__name__}: {faults[0]}"
    assert published, f"watch published nothing in {source.LIMIT:g} s"
    assert not ended, "watch has returned before it was told to stop"
    assert not thread.is_alive(), f"watch did not end within {STOPPED:g} s of being told to stop"
    for found in tuple(published):
        _sound(found)
