"""The housekeeper: the one background thread, for what must not be done on a call's path.

It makes pickers anew after a change, settles what endings left in the inboxes, tries background connects
to ejected endpoints, non-blocking, and has its hands do what may block. Started by the first call, gone
after a fork, restarted if it has died. Nothing on the call path waits for it, but a call that begins before
its service's endpoints were ever found; and no call depends on it for being right.
"""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from typing import Protocol

from meshware.core.endpoint import Endpoint
from meshware.core.lateness import Lateness
from meshware.core.service import Service
from meshware.hands import Hands

PACE = 0.05
"""Seconds between two rounds while there is something to do; a picker is made anew at most so often."""

SWEEP = 0.02
"""Seconds between two beats, while calls go out: each tells whether this process stood still, and sweeps the board."""

IDLE = 1.0
"""Seconds between two rounds while nothing has changed."""

ATTENDED = 10.0
"""Seconds after its last call for which a service is looked after at least."""

UNDER_WAY = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})
"""What a non-blocking connect says that may yet succeed."""

_log = logging.getLogger("meshware")


Done = Callable[[Endpoint, bool, float], None]


class Connects(Protocol):
    """Background connects to ejected endpoints: whether anybody is there."""

    def __len__(self) -> int:
        """How many are under way."""
        ...

    def start(self, endpoint: Endpoint, timeout: float, done: Done, now: float) -> None:
        """Begin one; `done(endpoint, ok, now)` is called from a later `poll`."""
        ...

    def poll(self, now: float) -> None:
        """Collect what is over. Must not block."""
        ...

    def close(self) -> None:
        """Give all of them up."""
        ...


class Chore(Protocol):
    """What is kept going round by round."""

    @property
    def due(self) -> float:
        """When it wants to be kept next."""
        ...


class Attended:
    """The services that a housekeeper looks after: those called or changed lately, and those with something to come.

    Thread-safe. A service says `attended` from the moment that somebody adds it until the next round, so that a busy
    one is added once a round and not once a call.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.after_fork()

    def after_fork(self) -> None:
        """In the child: none, and a lock of its own."""
        self._lock = threading.Lock()
        self._since: dict[Service, float] = {}
        self._last = -inf

    def add(self, service: Service) -> None:
        """Look after it, for a while at least."""
        with self._lock:
            self._since[service] = self._last = self._clock()
            service.attended = True

    def now(self) -> list[Service]:
        """Those that are looked after."""
        return list(self._since)

    def lately(self, now: float) -> bool:
        """Whether any was added since the round before the last: while calls go out, one is each time."""
        return now - self._last < 2 * IDLE

    def services(self) -> list[Service]:
        """Those that a round should visit; one where nothing is to come is left after a while."""
        with self._lock:
            now = self._clock()
            for service, since in tuple(self._since.items()):
                service.attended = False
                if now - since >= ATTENDED and service.quiet():
                    del self._since[service]
            return list(self._since)


class Housekeeper:
    """One per mesh. `start` is cheap to call again; `wake` says that there is something to do.

    `running`: whether the thread lives; False before the first call, after `stop` and in a forked child.
    """

    def __init__(
        self,
        services: Callable[[], Iterable[Service]],
        *,
        clock: Callable[[], float] = time.monotonic,
        probes: Callable[[], Connects] | None = None,
        sweep: Callable[[float], bool] = lambda now: False,
        chores: Callable[[float, Hands], Chore | None] = lambda now, hands: None,
    ) -> None:
        self._services = services
        self._clock = clock
        self._sweep = sweep
        self._chores = chores
        self.running = False
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self._stopping = self._resting = False
        self._due = inf  # when something wants to be kept next
        self.lateness = Lateness()
        self._make_probes: Callable[[], Connects] = probes or Probes
        self._probes: Connects = self._make_probes()
        self.hands = Hands(self._wake.set)

    def start(self) -> None:
        """Have the thread run, starting it if need be."""
        with self._starting:
            if self.running or self._stopping:
                return
            thread = threading.Thread(target=self._run, name="meshware-housekeeper", daemon=True)
            self.running = True
            try:
                thread.start()
            except RuntimeError:  # no thread to be had: the call goes out without it, the next one tries again
                self.running = False
            else:
                self._thread = thread

    def wake(self) -> None:
        """Something has changed. Cheap; any thread, but no finalizer."""
        self._wake.set()

    def stir(self) -> None:
        """A call goes out: end a long rest. Cheaper than `wake` when there is none."""
        if self._resting:
            self._wake.set()

    def stop(self, timeout: float = 1.0) -> None:
        """End the thread and close its sockets; waits at most `timeout` seconds."""
        self._stopping = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        self._probes.close()

    def after_fork(self) -> None:
        """In the child: the thread did not come along, nor may its locks and sockets be used."""
        self.running = self._resting = False
        self._thread = None
        self._starting = threading.Lock()
        self._wake = threading.Event()
        self.lateness = Lateness()
        self._probes.close()
        self._probes = self._make_probes()
        self.hands = Hands(self._wake.set)

    def round(self, now: float) -> bool:
        """Do once what is due; True while there is more to come soon."""
        busy, kept = False, list[Chore]()
        for service in tuple(self._services()):
            try:
                busy = self._keep(service, now) or busy
                if service.source is not None:
                    kept.append(service.source)
            except Exception as error:  # the others are looked after all the same
                service.failed("housekeeping", error, now)
        self._probes.poll(now)
        if (chore := self._chores(now, self.hands)) is not None:
            kept.append(chore)
        self.hands.poll(now)
        self._due = min((each.due for each in kept), default=inf)  # what the hands have done may have moved it
        return busy or len(self._probes) > 0

    def _keep(self, service: Service, now: float) -> bool:
        if service.source is not None:
            service.source.keep(now, self.hands)
        checks = service.checks
        checking = checks is not None and checks.keep(now, self.hands)
        if not service.used:
            return checking
        if service.inbox:
            service.settle(now)
        if service.retired:
            return False
        ejection = service.ejection
        ejection.review(now)
        busy = checking or service.changed or bool(ejection.waiting)
        if service.stale(now):
            service.refresh(now)
        for endpoint in ejection.probes(now) if ejection.waiting else ():
            self._probes.start(endpoint, service.connect_timeout, partial(_connected, service), now)
        return busy

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wake.clear()
                self._rest(PACE if self._round() else self._idle())
        finally:
            self.running = False
            self.lateness.beat(-inf)

    def _idle(self) -> float:
        """Seconds for which nothing is to be done, as far as is known."""
        return min(IDLE, max(PACE, self._due - self._clock()))

    def _rest(self, seconds: float) -> None:
        """Until the next round: after so long, or soon after somebody wakes it. The board is swept meanwhile."""
        began = self._clock()
        while self._swept() and not self._stopping:
            left = began + (PACE if self._wake.is_set() else seconds) - self._clock()
            if left <= 0:
                return
            self._beat_after(min(SWEEP, left), time.sleep)
        if seconds > PACE:
            self._resting = True
            self._beat_after(seconds, self._wake.wait)
            self._resting = False
        time.sleep(0 if self._stopping or self.hands.ready else PACE)

    def _beat_after(self, seconds: float, rest: Callable[[float], object]) -> None:
        """Rest; whatever comes later than that is this process's lateness."""
        self.lateness.expect(self._clock() + seconds)
        rest(seconds)
        self.lateness.beat(self._clock())

    def _swept(self) -> bool:
        try:
            return self._sweep(self._clock())
        except Exception:
            _log.exception("meshware's housekeeper failed in a sweep and goes on")
            return False

    def _round(self) -> bool:
        try:
            return self.round(self._clock())
        except Exception:
            _log.exception("meshware's housekeeper failed in a round and goes on")
            return False


def _connected(service: Service, endpoint: Endpoint, ok: bool, now: float) -> None:
    """The result of a background connect."""
    try:
        service.ejection.connected(endpoint, ok, now)
    except Exception as error:
        service.failed("ejection", error, now)


class Probes:
    """Background connects under way: non-blocking for an address, on a thread of its own for a host name."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._open: dict[Endpoint, tuple[socket.socket, float, Done]] = {}
        self._named: set[Endpoint] = set()
        self._results: deque[tuple[Endpoint, bool, Done]] = deque()

    def __len__(self) -> int:
        return len(self._open) + len(self._named)

    def start(self, endpoint: Endpoint, timeout: float, done: Done, now: float) -> None:
        """Begin a connect; `done(endpoint, ok, now)` is called from a later `poll`."""
        if endpoint in self._open or endpoint in self._named:
            return
        try:
            family, kind, proto, _, address = socket.getaddrinfo(
                endpoint.host, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
            )[0]
            sock = socket.socket(family, kind, proto)
        except (socket.gaierror, UnicodeError):
            self._start_named(endpoint, timeout, done)
            return
        except OSError:
            return  # no descriptor to spare: says nothing of the endpoint, tried again when next due
        sock.setblocking(False)
        if sock.connect_ex(address) not in UNDER_WAY:  # a socket that never began to connect has no SO_ERROR to show
            sock.close()
            self._results.append((endpoint, False, done))
            return
        self._selector.register(sock, selectors.EVENT_WRITE, endpoint)
        self._open[endpoint] = (sock, now + timeout, done)

    def poll(self, now: float) -> None:
        """Collect what has connected, failed, or run out of time."""
        for key, _ in self._selector.select(0) if self._open else ():
            sock = self._open[key.data][0]
            self._finish(key.data, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, now)
        for endpoint, (_, until, _done) in tuple(self._open.items()):
            if until <= now:
                self._finish(endpoint, False, now)
        while self._results:
            endpoint, ok, done = self._results.popleft()
            self._named.discard(endpoint)
            done(endpoint, ok, now)

    def close(self) -> None:
        """Close every socket; in a forked child this leaves the parent's connections alone."""
        for sock, _, _ in self._open.values():
            sock.close()
        self._open.clear()
        self._selector.close()

    def _finish(self, endpoint: Endpoint, ok: bool, now: float) -> None:
        sock, _, done = self._open.pop(endpoint)
        self._selector.unregister(sock)
        sock.close()
        done(endpoint, ok, now)

    def _start_named(self, endpoint: Endpoint, timeout: float, done: Done) -> None:
        thread = threading.Thread(target=self._connect, args=(endpoint, timeout, done), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            return  # no thread to be had: tried again when next due
        self._named.add(endpoint)

    def _connect(self, endpoint: Endpoint, timeout: float, done: Done) -> None:
        try:
            socket.create_connection((endpoint.host, endpoint.port), timeout).close()
            ok = True
        except (OSError, UnicodeError):  # the latter: a name that cannot be looked up, such as "a..b"
            ok = False
        self._results.append((endpoint, ok, done))
