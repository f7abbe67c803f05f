"""Subset: this client speaks with a few of many endpoints only, and another strategy picks among those.

Rendezvous hashing (Thaler and Ravishankar 1998) as in gRFC A68: the endpoints with the least hash of client and
address. So one more or fewer changes at most one member, an unavailable one is stood in for by the next, and comes
back to its place. With fewer connections, and enough calls to each to learn from. Clients are spread at random:
with few of them some endpoints are in more subsets than others (Twitter's aperture is even, and needs to know them).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from heapq import nsmallest
from threading import Lock
from typing import Any

from meshware.balancing.chooser import as_strategy
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.policy import Picker, Rng
from meshware.core.telling import Pick, Told, Unforeseen


class Subset:
    """`size`: endpoints, 1 or more. `strategy`: who picks among them; weights count there, not in who is a member.

    `client`: a name that no other client has, for the same subset after a restart. Without one the first call of
    the process draws it, so that workers differ, also those forked from one parent that has made no call.
    """

    composes = True

    def __init__(
        self, *, make: Callable[[Any], Any], strategy: Any = "adaptive", size: int = 20, client: str | None = None
    ) -> None:
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"size must be a whole number from 1 on, not {size!r}")
        if client is not None and (not isinstance(client, str) or not client):
            raise ValueError(f"client must be a name, or None for one drawn at random, not {client!r}")
        self._size = size
        self._client = client
        self._lock = Lock()
        self.parts = (make(strategy),)

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over the members among these; before the first call of all, one that will make it."""
        if len(endpoints) > self._size and self._client is None:
            return Unnamed(self, endpoints)
        return as_strategy(self.parts[0]).picker(self._members(endpoints))

    def name(self, rng: Rng) -> None:
        """Draw the client's name, unless it has one."""
        with self._lock:
            self._client = self._client or str(rng.random())

    def _members(self, endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
        return nsmallest(self._size, endpoints, key=self._rank) if len(endpoints) > self._size else endpoints

    def _rank(self, endpoint: Endpoint) -> bytes:
        return blake2b(f"{self._client} {endpoint.address}".encode(), digest_size=8).digest()


class Unnamed:
    """Of a client that has no name yet: the first call brings the chance to draw it. Thread-safe."""

    def __init__(self, strategy: Subset, endpoints: Sequence[Endpoint]) -> None:
        self._strategy = strategy
        self._endpoints = endpoints
        self._picker: Picker | None = None

    def pick(self, call: Call) -> Endpoint:
        """One of the members."""
        return self._made(call).pick(call)

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told, once the members are known."""
        if self._picker is None and call.imagined:
            raise Unforeseen("the first call will draw which endpoints are in the subset")
        return Told(self._made(call), pick).pick(call)

    def _made(self, call: Call) -> Picker:
        if self._picker is None:
            self._strategy.name(call.rng)
            self._picker = self._strategy.picker(self._endpoints)
        return self._picker
