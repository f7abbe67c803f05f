"""Asks endpoints how busy they are, off the calls' path: two threads with connections of their own.

Our middleware answers at PATH by itself, in a header (ORCA) and without a body; to nobody but its trusted peers. What
cannot be asked at once is not asked later: where too many wait a question is dropped. An answer is read within a limit
of time and of bytes, whatever comes. Nothing starts before the first question; a forked child starts anew.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Protocol

from meshware.core.endpoint import Endpoint
from meshware.core.outcome import LoadReport
from meshware.health.load import PATH

THREADS, WAITING = 2, 32
"""Threads that ask, and questions that wait for one at most; each thread has one under way."""

TIMEOUT = 0.25
"""Seconds that an answer may take, the connection included."""

LONGEST = 8192
"""Bytes of an answer."""

KEPT, UNUSED = 256, 4.0
"""Connections that a thread keeps, and for how many seconds without a question: servers close theirs after 5."""

Clock = Callable[[], float]
Connections = dict[str, tuple[socket.socket, float]]


class Asked(Protocol):
    """An endpoint as the strategy knows it, which waits for the answer in no way."""

    endpoint: Endpoint
    asking: bool
    rests: float

    def told(self, report: LoadReport, now: float) -> None:
        """It has answered."""
        ...

    def silent(self, now: float) -> None:
        """It has not."""
        ...


class Prober:
    """Asks for one service. `ask` is for any thread or loop and never waits; all else is for our threads.

    `read` makes a report of the value of the `header`; None: it says nothing. Ends by `stop`, or with its last user.
    """

    def __init__(self, read: Callable[[str], LoadReport | None], *, header: str, clock: Clock = time.monotonic) -> None:
        self._read = read
        self._header = header.lower().encode() + b":"
        self._clock = clock
        self.stopped = False
        self.dropped = 0
        self._connections: list[Connections] = []
        self.after_fork()
        _alive.add(self)

    def ask(self, those: Sequence[Asked], now: float) -> None:
        """Have these asked soon, but those that are being asked or that rest."""
        if not self._started:
            self._start()
        for each in those:
            if each.asking or now < each.rests:
                continue
            if self._waiting.qsize() >= WAITING:
                self.dropped += 1
                return
            each.asking = True
            self._waiting.put(each)

    def stop(self) -> None:
        """Ask nobody any more."""
        self.stopped = True

    def after_fork(self) -> None:
        """In the child: no threads; what is open there is the parent's, and closed here only."""
        self._waiting: queue.SimpleQueue[Asked] = queue.SimpleQueue()
        self._started = False
        self._starting = threading.Lock()
        for connections in self._connections:
            for sock, _ in connections.values():
                sock.close()
        self._connections = []

    def _start(self) -> None:
        with self._starting:
            if self._started or self.stopped:
                return
            self._started = True
            for _ in range(THREADS):
                self._connections.append({})
                args = weakref.ref(self), self._waiting, self._connections[-1]
                threading.Thread(target=_work, args=args, name="meshware-prober", daemon=True).start()

    def probe(self, asked: Asked, connections: Connections) -> None:
        """One question and its answer, on a kept connection if there is one."""
        endpoint = asked.endpoint
        report = None
        if not endpoint.bars:
            kept = endpoint.address in connections
            try:
                report = self._answer(endpoint, connections)
                if report is None and kept:  # the server may have closed it meanwhile
                    report = self._answer(endpoint, connections)
            except ValueError:  # an address that nobody can connect to
                report = None
        now = self._clock()
        if report is None:
            asked.silent(now)
        else:
            asked.told(report, now)

    def _answer(self, endpoint: Endpoint, connections: Connections) -> LoadReport | None:
        until = self._clock() + TIMEOUT
        sock, _ = connections.pop(endpoint.address, (None, 0.0))
        try:
            if sock is None:
                sock = socket.create_connection((endpoint.host, endpoint.port), TIMEOUT)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(_request(endpoint))
            status, headers = _head(sock, until, self._clock)
        except OSError:
            _close(sock)
            return None
        said = [line.partition(b":")[2].strip() for line in headers if line.lower().startswith(self._header)]
        if status != b"204" or len(said) != 1:
            _close(sock)
            return None
        if b"connection: close" in map(bytes.lower, headers):
            _close(sock)
        else:
            connections[endpoint.address] = sock, self._clock()
        return self._read(said[0].decode("latin-1"))

    def tidy(self, connections: Connections) -> None:
        """Close what was not used for a while, such as those to endpoints that have gone."""
        now = self._clock()
        for address, (sock, used) in tuple(connections.items()):
            if now - used > UNUSED or len(connections) > KEPT:
                del connections[address]
                sock.close()


def _request(endpoint: Endpoint) -> bytes:
    return f"GET {PATH} HTTP/1.1\r\nHost: {endpoint.address}\r\nUser-Agent: meshware\r\n\r\n".encode("latin-1")


def _head(sock: socket.socket, until: float, clock: Clock) -> tuple[bytes, list[bytes]]:
    """Status and header lines. Raises OSError for what comes late, ends early, is too long or has a body."""
    read = b""
    while b"\r\n\r\n" not in read:
        left = until - clock()
        if left <= 0 or len(read) > LONGEST:
            raise OSError("late or long")
        sock.settimeout(left)
        piece = sock.recv(LONGEST)
        if not piece:
            raise OSError("ended early")
        read += piece
    head, _, body = read.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if body or len(words) < 2 or not words[0].startswith(b"HTTP/1."):
        raise OSError("no such answer")
    return words[1], lines[1:]


def _close(sock: socket.socket | None) -> None:
    if sock is not None:
        sock.close()


def _work(owner: weakref.ref[Prober], waiting: queue.SimpleQueue[Asked], connections: Connections) -> None:
    """A thread's life: it ends soon after its prober."""
    tidied = 0.0
    while True:
        try:
            asked = waiting.get(timeout=1.0)
        except queue.Empty:
            asked = None
        prober = owner()
        if prober is None or prober.stopped:
            break
        if asked is not None:
            prober.probe(asked, connections)
        now = time.monotonic()
        if asked is None or now - tidied > 1.0:
            tidied = now
            prober.tidy(connections)
        del prober, asked
    for sock, _ in tuple(connections.values()):
        sock.close()


_alive: weakref.WeakSet[Prober] = weakref.WeakSet()


def _after_fork() -> None:
    for prober in tuple(_alive):
        prober.after_fork()


os.register_at_fork(after_in_child=_after_fork)
