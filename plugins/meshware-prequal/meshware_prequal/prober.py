"""Probes, off the calls' path: a few threads with connections of their own, none before the first is asked for.

What cannot be done at once is not done later: when the queue is full a probe is dropped, and a call picks by
those in hand. After a fork the child starts anew.
"""

from __future__ import annotations

import http.client
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from meshware_prequal.pool import Probe, ProbePool
from meshware_prequal.responder import IN_FLIGHT, LATENCY, PATH

Clock = Callable[[], float]


class Prober:
    """Asks endpoints how they are, and puts their answers into the pool. `start` is cheap to call again."""

    def __init__(self, pool: ProbePool, *, threads: int, waiting: int, timeout: float, path: str = PATH) -> None:
        self._pool, self._path, self._timeout, self._threads = pool, path, timeout, threads
        self._waiting = waiting
        self._served: list[weakref.ref[Any]] = []
        self._reset()
        _alive.add(self)

    def serve(self, picker: Any) -> None:
        """Connections to this picker's `endpoints` are kept for as long as somebody holds it."""
        with self._lock:
            self._served = [*self.served(), weakref.ref(picker)]

    def served(self) -> list[weakref.ref[Any]]:
        """The pickers that are still held: one, or as many as a service has groups."""
        return [each for each in self._served if each() is not None]

    def addresses(self) -> set[str]:
        """Of all the endpoints that they pick from."""
        pickers = [each() for each in self._served]
        return {endpoint.address for picker in pickers if picker is not None for endpoint in picker.endpoints}

    def ask(self, endpoint: Any) -> None:
        """Probe it soon; dropped when too many are waiting."""
        if not self._started:
            self._start()
        try:
            self._queue.put_nowait(endpoint)
        except queue.Full:
            self.dropped += 1

    def _reset(self) -> None:
        self._queue: queue.Queue[Any] = queue.Queue(self._waiting)
        self._started = False
        self._lock = threading.Lock()
        self.dropped = 0
        self.failed = 0

    def _start(self) -> None:
        with self._lock:
            if self._started:
                return
            self._started = True
            for _ in range(self._threads):
                args = (weakref.ref(self), self._queue)
                threading.Thread(target=_work, args=args, name="meshware-prequal", daemon=True).start()

    def probe(self, endpoint: Any, connections: dict[str, http.client.HTTPConnection]) -> None:
        """One probe on a kept connection; what fails is forgotten, for its absence says enough."""
        connection = connections.get(endpoint.address)
        if connection is None:
            connection = connections[endpoint.address] = http.client.HTTPConnection(
                endpoint.host, endpoint.port, timeout=self._timeout
            )
        try:
            connection.request("GET", self._path)
            answer = connection.getresponse()
            answer.read()
            if answer.status == http.HTTPStatus.OK:
                in_flight, latency = int(answer.headers[IN_FLIGHT]), float(answer.headers[LATENCY])
                self._pool.add(Probe(endpoint, in_flight, latency, time.monotonic()))
                return
        except (OSError, http.client.HTTPException, TypeError, ValueError):
            pass  # counted below
        self.failed += 1
        connections.pop(endpoint.address).close()


def _work(owner: weakref.ref[Prober], waiting: queue.Queue[Any]) -> None:
    """A thread's life: it ends soon after its prober has gone."""
    connections: dict[str, http.client.HTTPConnection] = {}
    served: list[weakref.ref[Any]] = []
    there: set[str] = set()
    while True:
        try:
            endpoint = waiting.get(timeout=1.0)
        except queue.Empty:
            endpoint = None
        prober = owner()
        if prober is None:
            break
        if (now := prober.served()) != served:
            served, there = now, prober.addresses()
            _close(connections, kept=there)
        if endpoint is not None and endpoint.address in there:
            prober.probe(endpoint, connections)
        del prober
    _close(connections, kept=set())


def _close(connections: dict[str, http.client.HTTPConnection], *, kept: set[str]) -> None:
    """Close those to endpoints that have gone: nobody will probe them again."""
    for address in connections.keys() - kept:
        connections.pop(address).close()


_alive: weakref.WeakSet[Prober] = weakref.WeakSet()


def _after_fork() -> None:
    """The parent's threads and connections are not the child's."""
    for prober in tuple(_alive):
        prober._reset()


os.register_at_fork(after_in_child=_after_fork)
