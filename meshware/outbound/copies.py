"""The copies of a route's mirror: a bounded queue, and the few threads that send what waits there.

Whoever has made the call only puts a copy in, and never waits: where the queue is full it is dropped, and counted. The
threads are the mirror's own, since a slow service would hold up what else the housekeeper's hands do (health checks,
discovery); they start with the first copy and end when none has come for a while. A forked child starts anew.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.core.mirrored import Answer, Mirrored
from meshware.core.service import described
from meshware.outbound.copy_exchange import Connections, Exchange

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.outcome import Outcome

THREADS = 4
"""Copies of one mirror that are under way at once."""

HELD = 8 * 2**20
"""Bytes of bodies that wait for one mirror at most, however few copies that are."""

IDLE = 4.0
"""Seconds without a copy after which a thread ends and closes its connections: servers close theirs after 5."""

PAUSE, WATCH = 0.002, 0.05
"""Seconds from one look at the queue to the next, for so long after a copy: in a busy process nobody wakes a thread,
which would take turns with the very call that it has a copy of."""


class Copy(NamedTuple):
    """What is to be sent on behalf of a call, which went out under this Host; its answer, where both are compared."""

    of: Call
    host: str
    body: bytes
    primary: Answer | None

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        compared = None if self.primary is None else self.primary.body
        return len(self.body) + len(compared or b"")


class Sender:
    """Sends the copies of one mirror. `put` is for any thread or loop, and never waits."""

    def __init__(self, mirror: Any) -> None:
        self._mirror = mirror
        self._connections: list[Connections] = []
        self.after_fork()
        _alive.add(self)

    def after_fork(self) -> None:
        """In the child: no copies, no threads; connections are the parent's, and closed here only."""
        self._changed = threading.Condition(threading.Lock())
        self._queue: deque[Copy] = deque()
        self._bytes = self._threads = self._resting = 0
        self._watched = False
        for each in self._connections:
            each.close()
        self._connections = []

    def put(self, copy: Copy) -> bool:
        """Have it sent; False: there is no room."""
        with self._changed:
            if len(self._queue) >= self._mirror.options.waiting or self._bytes + copy.size > HELD:
                return False
            self._queue.append(copy)
            self._bytes += copy.size
            another = not self._watched and self._help()
        if another:
            self._start()
        return True

    def _help(self) -> bool:
        """Have another thread look at the queue: one that rests; True: a new one, which is yet to be started."""
        if self._resting:
            self._changed.notify()
        elif self._threads < THREADS:
            self._threads += 1
            return True
        return False

    def _start(self) -> None:
        connections = Connections()
        self._connections.append(connections)
        try:
            threading.Thread(target=self._work, args=(connections,), name="meshware-mirror", daemon=True).start()
        except RuntimeError:  # no thread to be had: the next copy tries again
            with self._changed:
                self._threads -= 1
            self._connections.remove(connections)

    def _work(self, connections: Connections) -> None:
        """A thread's life."""
        while (copy := self._next()) is not None:
            self._send(copy, connections)
        self._connections.remove(connections)
        connections.close()

    def _next(self) -> Copy | None:
        """The next copy; None: this thread is not needed any more."""
        with self._changed:
            if not (self._queue or self._watched):
                self._watch()
            while not self._queue:
                if not self._rest():
                    self._threads -= 1
                    return None
            copy = self._queue.popleft()
            self._bytes -= copy.size
            another = bool(self._queue) and self._help()
        if another:
            self._start()
        return copy

    def _watch(self) -> None:
        """Look again and again, for a while."""
        self._watched, until = True, time.monotonic() + WATCH
        while not self._queue and time.monotonic() < until:
            self._changed.wait(PAUSE)
        self._watched = False

    def _rest(self) -> bool:
        """Wait to be woken; False: there was nothing to do."""
        self._resting += 1
        woken = self._changed.wait(IDLE)
        self._resting -= 1
        if woken:
            self._changed.wait(PAUSE)  # who has made the call gets his answer first
        return woken or bool(self._queue)

    def _send(self, copy: Copy, connections: Connections) -> None:
        mirror = self._mirror
        try:
            plan = mirror.plan
            call = copy.of.child(plan.service, mirror.request(copy.of.request, given(copy.of, copy.host)), plan)
            exchange = Exchange(call, copy.body, connections, most=mirror.options.max_answer)
            answer = exchange.run()
            tell(mirror, copy.of, exchange.refused, outcome=exchange.outcome, alike=self._alike(copy, answer))
        except BaseException as error:  # a fault of ours, or what would end the thread: it goes on
            copy.of.service.failed("mirror", RuntimeError(described(error)), time.monotonic())

    def _alike(self, copy: Copy, answer: Answer | None) -> bool | None:
        if copy.primary is None or answer is None:
            return None
        try:
            alike: bool | None = self._mirror.compared(copy.primary, answer)
        except Exception as error:  # the user's own comparison
            copy.of.service.failed("comparison", error, time.monotonic())
            return None
        return alike


def tell(
    mirror: Any,
    call: Call,
    dropped: str | None = None,
    *,
    outcome: Outcome | None = None,
    alike: bool | None = None,
) -> None:
    """Count what became of a call's copy, and have the observers know."""
    mirrored = Mirrored(mirror.route, mirror.plan.service.name, dropped, outcome, alike)
    mirror.count(mirrored)
    now = time.monotonic()
    for watch in call.service.on_mirror:
        watch(call, mirrored, now)


def given(call: Call, host: str) -> dict[str, str]:
    """The headers that the call was sent with, by lower-case names, but for what attempts add."""
    headers: dict[str, str | None] = {"host": host}
    for name, value in call.request.headers.items():
        headers[name.lower()] = value.decode("latin-1") if isinstance(value, bytes) else value
    own = call.service.host
    if headers["host"] == host and own not in ("logical", "endpoint"):
        headers["host"] = own
    if call.plan.edits is not None:
        headers |= call.plan.edits.of(call.request.headers)
    return {name: value for name, value in headers.items() if value is not None}


def sender_of(mirror: Any) -> Sender:
    """Who sends its copies."""
    if mirror.sender is None:
        with _making:
            if mirror.sender is None:
                mirror.sender = Sender(mirror)
    sender: Sender = mirror.sender
    return sender


_making = threading.Lock()
_alive: weakref.WeakSet[Sender] = weakref.WeakSet()


def _after_fork() -> None:
    global _making
    _making = threading.Lock()
    for sender in tuple(_alive):
        sender.after_fork()


os.register_at_fork(after_in_child=_after_fork)
