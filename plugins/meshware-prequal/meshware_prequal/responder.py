"""What a callee says of itself: requests in flight, and how long one that begins now is expected to take.

A middleware for WSGI or ASGI that counts the app's requests and answers probes itself. The latency is the median
of the latest requests that began with about as much in flight as there is now (section 4 of the paper).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

PATH = "/.well-known/meshware-prequal"
IN_FLIGHT, LATENCY = "x-prequal-in-flight", "x-prequal-latency"

KEPT = 256
"""Latest requests that estimates are made from."""

NEAR = 16
"""Of these, how many count for one estimate: those whose load was nearest to the present one."""


class Load:
    """Requests in flight and how long the latest took. Thread-safe: each change is one append, pop or store."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[object, None] = {}
        self._latest: deque[tuple[int, float]] = deque(maxlen=KEPT)

    @property
    def in_flight(self) -> int:
        """Requests that the app works on now."""
        return len(self._open)

    @contextmanager
    def request(self) -> Iterator[None]:
        """One request, from here to the end of the block."""
        key, before, began = object(), len(self._open), self._clock()
        self._open[key] = None
        try:
            yield
        finally:
            self._open.pop(key, None)
            self._latest.append((before, self._clock() - began))

    def latency(self) -> float:
        """Expected seconds of a request that begins now; 0.0 before there was one."""
        now = len(self._open)
        near = sorted(self._latest, key=lambda each: abs(each[0] - now))[:NEAR]
        return median(each[1] for each in near) if near else 0.0

    def answer(self) -> list[tuple[str, str]]:
        """The headers of a probe's answer."""
        return [(IN_FLIGHT, str(self.in_flight)), (LATENCY, f"{self.latency():.6f}"), ("content-length", "0")]


class ProbeResponder:
    """`app = ProbeResponder(app)`: answers probes, and counts every other request of a WSGI app to its body's end."""

    def __init__(self, app: Callable[..., Iterable[bytes]], *, path: str = PATH) -> None:
        self.app = app
        self.load = Load()
        self._path = path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve one request."""
        if environ.get("PATH_INFO") == self._path:
            start_response("200 OK", self.load.answer())
            return []
        request = self.load.request()
        request.__enter__()
        try:
            return _Counted(self.app(environ, start_response), request)
        except BaseException:
            request.__exit__(None, None, None)
            raise


class _Counted:
    """The app's body; the request ends when the server closes it."""

    def __init__(self, body: Iterable[bytes], request: Any) -> None:
        self._body, self._request = body, request

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """The server has sent what it will send."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._request.__exit__(None, None, None)


class AsgiProbeResponder:
    """`app = AsgiProbeResponder(app)`: the same for ASGI's http requests."""

    def __init__(self, app: Callable[..., Any], *, path: str = PATH) -> None:
        self.app = app
        self.load = Load()
        self._path = path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == self._path:
            headers = [(name.encode(), value.encode()) for name, value in self.load.answer()]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            with self.load.request():
                await self.app(scope, receive, send)
