"""The reaper: keeps sync deadlines, which no client does (a byte every 0.3 s runs for ever in all of them).

One thread per process over a heap of times. At an attempt's deadline it shuts the attempt's socket down
with `socket.socket.shutdown`, never `SSLSocket.shutdown`, which would turn the reader to raw ciphertext.
Who pops the socket from its Cut owns it: the door before the connection goes back to its pool, or the
reaper before it cuts, under one short lock that also covers the `shutdown` call.
"""

from __future__ import annotations

import heapq
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from itertools import count

from meshware.core.outcome import Cause

Clock = Callable[[], float]
_COMPACT = 1024

_log = logging.getLogger("meshware")


class Cut:
    """The right to cut one attempt's socket at the monotonic time `at`, or once it has `lost`. Thread-safe.

    `extend(now)` is asked when the time has come: until when to go on, or `now` (or earlier) to cut. Until `until` the
    attempt may connect, where that is another time than when to ask first.
    """

    __slots__ = ("_extend", "_lock", "_socket", "at", "dead", "fired", "lost", "until")

    def __init__(
        self, at: float, extend: Callable[[float], float] | None = None, *, until: float | None = None
    ) -> None:
        self.at = at
        self.until = at if until is None else until
        self._extend = extend
        self._lock = threading.RLock()  # a collected answer may release its cut on the very thread that fires another
        self._socket: socket.socket | None = None
        self.dead = False
        self.fired = self.lost = False

    def attach(self, sock: socket.socket) -> None:
        """The connection stands: this is what to cut. Cut at once when the time has passed already."""
        with self._lock:
            self._socket = sock
            if self.fired:
                self._shut()

    def release(self) -> bool:
        """The connection goes back to its pool. False: it was cut, and must be closed instead."""
        self.dead = True
        self._extend = None  # what it asks holds the whole call, and the reaper may hold this for minutes
        with self._lock:
            self._socket = None
            return not self.fired

    def put_off(self, at: float) -> bool:
        """Not before `at` (monotonic; inf: never), and ask nobody then. False: it was cut already."""
        with self._lock:
            self._extend = None
            if not self.fired:
                self.at = at
            return not self.fired

    def move(self, seen: float, at: float) -> bool:
        """What was due at `seen` is due at `at`; False when it was put off or released meanwhile."""
        with self._lock:
            if self.dead or self.at != seen:
                return False
            self.at = at
            return True

    def fire(self, now: float = float("inf")) -> None:
        """Cut, if the socket is still ours and the cut has not been put off beyond `now`."""
        with self._lock:
            if not self.dead and self.at <= now:
                self.fired = True
                self._shut()

    def lose(self) -> None:
        """Another attempt has made this one useless: cut it now, if it is still ours."""
        with self._lock:
            if not self.dead and not self.fired:
                self.fired = self.lost = True
                self._shut()

    def cause(self, *, begun: bool) -> Cause:
        """Why the attempt that was cut has no answer; `begun`: it had got as far as the endpoint."""
        if self.lost:
            return Cause.CUT
        return Cause.TIMEOUT if begun else Cause.LOCAL

    def due(self, now: float) -> float:
        """Until when to wait on; not after `now`: cut."""
        extend = self._extend  # may be put off or released meanwhile
        return now if extend is None else extend(now)

    def forked(self) -> None:
        """In a forked child: whichever thread held the lock is not here to let go of it."""
        self._lock = threading.RLock()

    def _shut(self) -> None:
        if self._socket is not None:
            try:
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                self._socket = None  # the other side, or the client, was first


class Reaper:
    """Fires cuts at their times, on one daemon thread that starts with the first. Thread-safe."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Cut]] = []
        self._order = count()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._running = False
        self._asked: Cut | None = None
        self._wakes_at = float("inf")
        self._compact_at = _COMPACT

    def watch(self, cut: Cut) -> None:
        """Fire `cut` at its time, unless it is released before. To be called again when that was put off."""
        at = cut.at
        if not at < float("inf"):
            return  # never; nor at a time that is no number, which would hold up those behind it
        with self._lock:  # which a condition takes in four steps
            heapq.heappush(self._heap, (at, next(self._order), cut))
            if len(self._heap) >= self._compact_at:
                self._compact()
            if not self._running:
                self._start()
            elif at < self._wakes_at:
                self._changed.notify()

    def __len__(self) -> int:
        return len(self._heap)

    def forked(self) -> Reaper:
        """In a forked child: one to begin with, since the thread did not come along."""
        for cut in [self._asked, *(entry[2] for entry in self._heap)]:
            if cut is not None:
                cut.forked()
        return Reaper(self._clock)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="meshware-reaper", daemon=True).start()
        except RuntimeError:
            return  # no thread to be had: the sockets' own timeouts stand in, and the next call tries again
        self._running = True

    def _compact(self) -> None:
        """Drop what was released: most calls end long before their deadline."""
        self._heap = [entry for entry in self._heap if not entry[2].dead]
        heapq.heapify(self._heap)
        self._compact_at = max(_COMPACT, 2 * len(self._heap))

    def _run(self) -> None:
        try:
            while True:
                self._reap()
        finally:
            self._running = False  # whatever killed this thread, the next call starts another

    def _reap(self) -> None:
        cut, now = self._next()
        seen = cut.at
        try:
            later = cut.due(now)
        except Exception:
            _log.exception("meshware's reaper cannot learn whether a deadline was put off, and keeps it")
            later = now
        if later <= now:
            cut.fire(now)
        elif cut.move(seen, later):
            self.watch(cut)
        self._asked = None

    def _next(self) -> tuple[Cut, float]:
        """The next cut that is due; waits for it."""
        with self._changed:
            while True:
                while self._heap and self._heap[0][2].dead:
                    heapq.heappop(self._heap)
                now = self._clock()
                if self._heap and self._heap[0][0] <= now:
                    at, _, cut = heapq.heappop(self._heap)
                    if at >= cut.at:  # else it was put off meanwhile and has another entry
                        self._asked = cut
                        return cut, now
                    continue
                self._wakes_at = self._heap[0][0] if self._heap else float("inf")
                self._changed.wait(min(threading.TIMEOUT_MAX, self._wakes_at - now))


_reaper = Reaper()


def reaper() -> Reaper:
    """The process's reaper."""
    return _reaper


def _after_fork() -> None:
    """The parent's deadlines do not concern the child."""
    global _reaper
    _reaper = _reaper.forked()


os.register_at_fork(after_in_child=_after_fork)
