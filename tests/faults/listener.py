"""A port that accepts, refuses, or lets connects hang, as it is told, and is nobody else's all the while."""

from __future__ import annotations

import socket


class Listener:
    """One port of loopback. A socket that is bound and does not listen refuses; a full queue answers no SYN."""

    def __init__(self, port: int = 0) -> None:
        self._waiting: list[socket.socket] = []
        self._sock = _bound(port)
        self.port: int = self._sock.getsockname()[1]
        self._sock.listen(128)

    @property
    def listening(self) -> socket.socket:
        """What accepts now; it is closed when that ends. Who accepts keeps to it: the next one may be a full queue."""
        return self._sock

    def refuse(self) -> None:
        """Connects are refused from now on."""
        self._anew()

    def fill(self) -> None:
        """Connects neither succeed nor fail from now on."""
        self._anew()
        self._sock.listen(0)
        self._waiting = [socket.socket() for _ in range(4)]
        for sock in self._waiting:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))

    def open(self) -> None:
        """Connects are accepted again."""
        self._anew()
        self._sock.listen(128)

    def close(self) -> None:
        """For good."""
        self._end(self._sock)
        self._drop()

    def _anew(self) -> None:
        """A socket that does not listen yet takes the port before the old one lets go of it."""
        old = self._sock
        self._end(old)
        self._drop()
        self._sock = _bound(self.port)

    def _drop(self) -> None:
        for sock in self._waiting:
            sock.close()
        self._waiting = []

    def _end(self, sock: socket.socket) -> None:
        try:
            sock.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        except OSError:
            pass  # it did not listen
        sock.close()


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
