"""One connection as the faulty server sees it: requests as they arrive, and each way to answer badly."""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

DRIP = 0.3
"""Seconds between two bytes of what drips."""


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    server_name: str | None
    connection: Connection = field(repr=False)
    at: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


class Connection:
    """One accepted connection."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.sock = sock
        self.stopping = stopping
        self.let_go: float | None = None  # when the peer closed it or it broke
        self.served = 0
        self._buffer = b""

    def read_head(self) -> Seen | None:
        """The next request, its body not read yet; None when the peer has gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._more():
                return None
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        line, *rest = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers: dict[str, str] = {}
        for each in rest:
            name, _, value = each.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.served += 1
        return Seen(method, target, headers, b"", getattr(self.sock, "server_name", None), self)

    def read_body(self, seen: Seen) -> None:
        """What belongs to the head."""
        if "chunked" in seen.headers.get("transfer-encoding", ""):
            seen.body = self._chunks()
        else:
            seen.body = self._bytes(int(seen.headers.get("content-length", 0)))

    def _more(self) -> bool:
        try:
            data = self.sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.let_go = self.let_go or time.monotonic()
        self._buffer += data
        return bool(data)

    def _bytes(self, count: int) -> bytes:
        while len(self._buffer) < count and self._more():
            pass
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self._buffer and self._more():
                pass
            size, _, self._buffer = self._buffer.partition(b"\r\n")
            data = self._bytes(int(size or b"0", 16) + 2)[:-2]
            if not data:
                return body
            body += data

    def send(self, data: bytes) -> bool:
        """False when the peer has gone."""
        try:
            self.sock.sendall(data)
        except OSError:
            self.let_go = self.let_go or time.monotonic()
            return False
        return True

    def drip(self, data: bytes, every: float = DRIP) -> None:
        """A byte now and then, until the peer has gone."""
        for byte in data:
            if not self.send(bytes([byte])) or self.gone(every):
                return

    def gone(self, within: float) -> bool:
        """Wait so long for the peer to close; True when it did, or when the server stops."""
        self.sock.settimeout(0.02)
        until = time.monotonic() + within
        try:
            while time.monotonic() < until and not self.stopping.is_set():
                try:
                    if not self.sock.recv(1):
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            else:
                return self.stopping.is_set()
        finally:
            self.sock.settimeout(None)
        self.let_go = self.let_go or time.monotonic()
        return True

    def reset(self) -> None:
        """RST, not FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def shut(self) -> None:
        """Break it, whatever it is doing."""
        try:
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            pass  # closed by itself meanwhile
