"""Sticky: a key stays with the endpoint that another strategy has picked for it, for as long as it can.

Session affinity of a client that remembers, as Spring Cloud's request-based sticky sessions and Envoy's stateful
sessions. Unlike hashing it moves no key when an endpoint is added. Each process remembers for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from math import isfinite
from threading import Lock
from typing import Any

from cachetools import Cache, TTLCache

from meshware.balancing.chooser import as_strategy
from meshware.balancing.key import Key, open_to, reader
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker
from meshware.core.telling import Pick, Told


class Sticky:
    """`key`: see balancing/key.py. `strategy`: who picks for a new key, and for calls without one.

    `ttl`: seconds for which a key is remembered after its last call. `size`: keys remembered; beyond it the one that
    was used longest ago is forgotten.
    """

    composes = True

    def __init__(
        self,
        *,
        make: Callable[[Any], Any],
        key: object,
        strategy: Any = "adaptive",
        ttl: float = 1800.0,
        size: int = 10_000,
    ) -> None:
        if isinstance(ttl, bool) or not isinstance(ttl, int | float) or not (isfinite(ttl) and ttl > 0):
            raise ValueError(f"ttl must be a finite number of seconds above 0, not {ttl!r}")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"size must be a whole number from 1 on, not {size!r}")
        self._key = reader(key)
        self._memory = Memory(size, ttl)
        self.parts = (make(strategy),)

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; what is remembered stays."""
        return StickyPicker(as_strategy(self.parts[0]).picker(endpoints), self._key, self._memory)


class StickyPicker:
    """Thread-safe, as the strategy within is."""

    def __init__(self, inner: Picker, key: Key, memory: Memory) -> None:
        self._inner = inner
        self._key = key
        self._memory = memory

    def pick(self, call: Call) -> Endpoint:
        """The key's endpoint, if the call may go there; else the inner strategy's, and the key moves.

        It may be an endpoint of another group (locality, subset) than this picker's: a key stays all the same.
        """
        key = self._key(call)
        if key is None:
            return self._inner.pick(call)
        known = self._memory.used(key, call.now)
        if known is not None and open_to(known, call):
            call.bound = True
            return known
        return self._memory.move(key, known, self._inner.pick(call))

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told; an imagined call moves no key, nor does it use it."""
        key, told = self._key(call), copy(self)
        known = None if key is None else self._memory.seen(key, call.now)
        told._inner = Told(self._inner, pick)
        if call.imagined:
            told._memory = Unmoved(self._memory)
        pick.fact(key=key, remembered=None if known is None else known.address)
        return told.pick(call)


class Memory:
    """Whose a key is. One short lock; the time is the calls'."""

    def __init__(self, size: int, ttl: float) -> None:
        self._now = 0.0
        self._lock = Lock()
        self._kept: TTLCache[bytes, Endpoint] = TTLCache(size, ttl, timer=lambda: self._now)

    def used(self, key: bytes, now: float) -> Endpoint | None:
        """The key's endpoint, remembered for another while."""
        with self._lock:
            self._now = max(self._now, now)
            known = self._kept.get(key)
            if known is not None:
                self._kept[key] = known
            return known

    def seen(self, key: bytes, now: float) -> Endpoint | None:
        """The same, looked at only."""
        with self._lock:
            before, self._now = self._now, max(self._now, now)
            try:  # what the cache itself looks up counts as use
                return Cache.__getitem__(self._kept, key) if key in self._kept else None
            finally:
                self._now = before

    def move(self, key: bytes, known: Endpoint | None, picked: Endpoint) -> Endpoint:
        """To the endpoint picked; when another call has moved the key in the meantime, where that one did."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None and found is not known:
                return found
            self._kept[key] = picked
            return picked


class Unmoved(Memory):
    """A memory as a call sees it that is imagined."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def used(self, key: bytes, now: float) -> Endpoint | None:
        """The key's endpoint."""
        return self._memory.seen(key, now)

    def move(self, key: bytes, known: Endpoint | None, picked: Endpoint) -> Endpoint:
        """Where it would go."""
        return picked
