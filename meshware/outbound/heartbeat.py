"""A loop's heartbeat, while calls go out from it: what comes late tells that the loop stood still."""

from __future__ import annotations

import asyncio
import time
from math import inf
from weakref import WeakKeyDictionary

from meshware.core.lateness import Lateness

BEAT = 0.05
"""Seconds between two beats."""

REST = 1.0
"""Seconds without a call after which a heart rests."""


class Heart:
    """Of one loop, on which alone it is used. It holds no loop: who is driven there has one running."""

    def __init__(self) -> None:
        self.lateness = Lateness()
        self._calls: set[object] = set()
        self._wanted = 0.0

    def begin(self, call: object) -> None:
        """It is driven from now on; `end` is due when it has its answer."""
        self._calls.add(call)
        if self.lateness.overdue_at == inf:  # it rests
            self._wait(time.monotonic())

    def end(self, call: object) -> None:
        """It has. Idempotent."""
        self._calls.discard(call)

    def _wait(self, now: float) -> None:
        self.lateness.expect(now + BEAT)
        asyncio.get_running_loop().call_later(BEAT, self._beat)

    def _beat(self) -> None:
        now = time.monotonic()
        self.lateness.beat(now)
        if self._calls:
            self._wanted = now + REST
        if now < self._wanted:
            self._wait(now)


_hearts: WeakKeyDictionary[asyncio.AbstractEventLoop, Heart] = WeakKeyDictionary()


def heart() -> Heart:
    """That of the running loop."""
    loop = asyncio.get_running_loop()
    found = _hearts.get(loop)
    if found is None:
        found = _hearts.setdefault(loop, Heart())
    return found
