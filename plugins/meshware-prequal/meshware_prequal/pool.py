"""The probes in hand, and the pick among them: hot-cold lexicographic, as in section 4 of the paper.

An endpoint is hot when more requests are in flight there than at the `hot` quantile of the probes seen lately.
Of the cold ones that with the least latency is picked; when all are hot, the one with the least in flight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil
from threading import Lock
from typing import Any

SEEN = 128
"""Probes by which the quantile is known."""


class Probe:
    """What one endpoint said of itself: requests in flight and expected seconds, and when."""

    __slots__ = ("at", "endpoint", "in_flight", "latency", "uses")

    def __init__(self, endpoint: Any, in_flight: int, latency: float, at: float) -> None:
        self.endpoint = endpoint
        self.in_flight = in_flight
        self.latency = latency
        self.at = at
        self.uses = 0

    def __repr__(self) -> str:
        return f"<Probe {self.endpoint}: {self.in_flight} in flight, {self.latency:.3f} s>"


class ProbePool:
    """At most `size` probes, none older than `age` seconds, none used more than `uses` times. Thread-safe."""

    def __init__(self, *, size: int, age: float, uses: int, hot: float) -> None:
        self._size, self._age, self._uses, self._hot = size, age, uses, hot
        self._probes: deque[Probe] = deque()  # oldest first
        self._seen: deque[int] = deque(maxlen=SEEN)
        self._drop_worst = False
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._probes)

    def add(self, probe: Probe) -> None:
        """A probe has come back; the oldest makes room."""
        with self._lock:
            self._seen.append(probe.in_flight)
            self._probes.append(probe)
            while len(self._probes) > self._size:
                self._probes.popleft()

    def pick(self, now: float, among: Any) -> Any | None:
        """The best probe's endpoint among these; None with fewer than two of theirs (the paper: at random then)."""
        with self._lock:
            while self._probes and self._probes[0].at <= now - self._age:
                self._probes.popleft()
            probes = [each for each in self._probes if each.endpoint in among]
            if len(probes) < 2:
                return None
            best = self._best(probes)
            best.uses += 1
            best.in_flight += 1  # ours is on its way there
            if best.uses >= self._uses:
                self._probes.remove(best)
            return best.endpoint

    def shrink(self) -> None:
        """Once a call: drop a probe, in turn the oldest and the worst, so that the pool does not fill with bad ones."""
        with self._lock:
            if len(self._probes) <= 2:
                return
            self._drop_worst = not self._drop_worst
            if self._drop_worst:
                self._probes.remove(self._worst())
            else:
                self._probes.popleft()

    def threshold(self) -> int:
        """In flight above which an endpoint is hot."""
        seen = sorted(self._seen)
        return seen[min(len(seen) - 1, ceil(self._hot * len(seen)) - 1)] if seen else 0

    def _best(self, probes: Sequence[Probe]) -> Probe:
        limit = self.threshold()
        cold = [each for each in probes if each.in_flight <= limit]
        if cold:
            return min(cold, key=lambda each: each.latency)
        return min(probes, key=lambda each: each.in_flight)

    def _worst(self) -> Probe:
        limit = self.threshold()
        hot = [each for each in self._probes if each.in_flight > limit]
        if hot:
            return max(hot, key=lambda each: each.in_flight)
        return max(self._probes, key=lambda each: each.latency)
