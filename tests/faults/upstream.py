"""A real server on loopback that misbehaves as its paths say, or as it is told: HTTP/1.1 or TLS, a thread a connection.

`with Upstream() as upstream:` then `http://127.0.0.1:{upstream.port}/drip-body`; or `upstream.turn("drip-body")`, and
every request is answered so until `upstream.heal()`. It records every request, and when each connection was let go.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from faults.behaviours import AT_HEAD, AT_ONCE, BEHAVIOURS, Behaviour
from faults.exchange import Connection, Seen
from faults.listener import Listener

from meshware.core.outcome import Ending


class Upstream:
    """The server. `answers` may replace behaviours by path segment while it runs; `fault` is how all are answered."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.requests: list[Seen] = []
        self.connections: list[Connection] = []
        self.answers: dict[str, Behaviour] = dict(BEHAVIOURS)
        self.stopping = threading.Event()
        self._context = context
        if context is not None:
            context.sni_callback = _remember_server_name
        self._threads: list[threading.Thread] = []
        self.fault: str | None = None
        self._listener = Listener(port)
        self.port: int = self._listener.port
        self.address = f"127.0.0.1:{self.port}"

    def start(self) -> Upstream:
        """Accept from now on."""
        self._start(self._accept, self._listener.listening)
        return self

    def __enter__(self) -> Upstream:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse from now on, break what is open, and end every thread."""
        self.stopping.set()
        self._listener.close()
        self._break()
        for thread in self._threads:
            thread.join(5)

    def forget(self) -> None:
        """Keep nothing of what is over: whose memory is looked at has enough of his own."""
        self.requests.clear()
        for connection in tuple(self.connections):
            if connection.let_go:
                self.connections.remove(connection)
        for thread in tuple(self._threads):
            if not thread.is_alive():
                self._threads.remove(thread)

    # Faults that are switched while it runs

    def turn(self, fault: str) -> None:
        """From now on `refused`, `syn-lost`, or each request answered by the behaviour of this name."""
        self.fault = fault
        if fault in ("refused", "syn-lost"):
            self._listener.refuse() if fault == "refused" else self._listener.fill()
            self._break()

    def heal(self) -> None:
        """As it was at first. What hangs is broken."""
        fault, self.fault = self.fault, None
        if fault in ("refused", "syn-lost"):
            self._listener.open()
            self._start(self._accept, self._listener.listening)
        self._break()

    def _break(self) -> None:
        for connection in list(self.connections):
            if connection.let_go is None:
                connection.shut()

    @property
    def open_connections(self) -> int:
        """Those that neither side has let go."""
        return sum(each.let_go is None for each in self.connections)

    def let_go_within(self, seconds: float) -> bool:
        """Whether all connections are closed by their peers in so many seconds."""
        until = time.monotonic() + seconds
        while self.open_connections and time.monotonic() < until:
            time.sleep(0.005)
        return not self.open_connections

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while not self.stopping.is_set():
            try:
                sock, _ = listening.accept()
            except OSError:  # it is another one's turn
                return
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            sock = self._context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        connection = Connection(sock, self.stopping)
        self.connections.append(connection)  # before hands are shaken, so that `stop` need not wait for that
        try:
            self._talk(connection)
        finally:
            connection.let_go = connection.let_go or time.monotonic()
            sock.close()

    def _talk(self, connection: Connection) -> None:
        if isinstance(connection.sock, ssl.SSLSocket):
            try:
                connection.sock.do_handshake()
            except OSError:
                return
        while not self.stopping.is_set():
            if self.fault in AT_ONCE:
                BEHAVIOURS[self.fault](connection, NOTHING)
                return
            seen = connection.read_head()
            if seen is None:
                return
            name = self.fault or seen.path.split("/")[1]
            if name not in AT_HEAD:
                connection.read_body(seen)
            self.requests.append(seen)
            behave = self.answers.get(name, BEHAVIOURS["ok"])
            if not behave(connection, seen):
                return


NOTHING: Any = None
"""The request of which nothing was read."""


def _remember_server_name(sock: Any, name: str | None, context: ssl.SSLContext) -> None:
    """What the client asked for is on the socket."""
    sock.server_name = name


def in_flight(mesh: Any) -> int:
    """Attempts that are open anywhere in a mesh."""
    endpoints = [each for service in mesh.services.values() for each in service.endpoints]
    return sum(len(each.open) + len(each.waiting) + len(each.streams) for each in endpoints)


def settle(mesh: Any) -> None:
    """Have all endings so far worked off: also the one that the housekeeper may be in the middle of just now."""
    for service in [each for each in mesh.services.values() if each.used]:
        service.settle(time.monotonic())
        reached = threading.Event()
        service.inbox.append((lambda *_, reached=reached: reached.set(), None, "", 0.0))
        service.wake()
        assert reached.wait(5.0), "the housekeeper does not come"


def endings(mesh: Any) -> Callable[[], list[Ending]]:
    """`heard()`: what every body's end was so far, as an observer of `inventory` hears it."""
    heard: list[Ending] = []
    mesh.services["inventory"].on_end = (lambda call, attempt, ending, wire, now: heard.append(ending),)
    return lambda: (settle(mesh), heard)[1]


@contextmanager
def serving(services: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, list[Upstream]]]:
    """A server for each endpoint of these services, in their order."""
    with ExitStack() as stack:
        yield {name: [stack.enter_context(Upstream()) for _ in each] for name, each in services.items()}


@contextmanager
def never_accepting(host: str = "127.0.0.1") -> Iterator[str]:
    """An address whose queue is full: connecting to it neither succeeds nor fails."""
    with socket.create_server((host, 0), backlog=0) as server:
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
        try:
            yield "{}:{}".format(*server.getsockname())
        finally:
            for sock in waiting:
                sock.close()
