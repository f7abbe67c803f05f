"""TLS for connections of our own, such as health checks and mirrors: who is trusted there, and who we are.

The clients that the mesh goes by have contexts of their own.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

RENEWED = 60.0
"""Seconds after which certificates are read again: they may have been renewed."""

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """Paths of a CA bundle, a certificate and its key; the name that the endpoint's certificate must be for."""

    server_name: str
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    @classmethod
    def of(cls, service: str, settings: Any) -> TlsOptions:
        """By a service's name and its settings."""
        name = settings.server_name or service.partition(":")[0]
        return cls(name, settings.ca, settings.cert, settings.key)


class Tls:
    """Shakes hands. Thread-safe."""

    def __init__(self, options: TlsOptions, *, clock: Clock = time.monotonic) -> None:
        self._options, self._clock = options, clock
        self._lock = Lock()
        self._context: ssl.SSLContext | None = None
        self._made = 0.0

    def __call__(self, sock: socket.socket) -> ssl.SSLSocket:
        """The connection over TLS. Raises OSError where the other side is not who it should be."""
        return self._trust().wrap_socket(sock, server_hostname=self._options.server_name)

    def _trust(self) -> ssl.SSLContext:
        """What says who is trusted and who we are; read anew now and then."""
        with self._lock:
            now = self._clock()
            if self._context is None or now - self._made > RENEWED:
                self._context, self._made = _context(self._options), now
            return self._context


def _context(tls: TlsOptions) -> ssl.SSLContext:
    directory = tls.ca is not None and os.path.isdir(tls.ca)
    context = ssl.create_default_context(cafile=None if directory else tls.ca, capath=tls.ca if directory else None)
    if tls.cert is not None:
        context.load_cert_chain(tls.cert, tls.key)
    return context
