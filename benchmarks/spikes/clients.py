"""The clients of the spike: requests by the shipped door, httpx and httpx2 by a prototype on httpcore's backend.

Each is a context manager that gives `get(path, deadline, pause=0)`: the body, or DeadlineExceeded. With a
pause the body is streamed, and its reader sleeps so long after the first piece.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import requests

import meshware
from meshware.core.errors import DeadlineExceeded
from meshware.mesh import Mesh
from meshware.outbound.reaper import Cut, reaper
from meshware.outbound.requests import MeshAdapter

Get = Callable[..., bytes]
Client = Callable[[str, str, str], Any]
"""`client(address, scheme, ca)`: a context manager that gives a `get`."""


def slowly(pieces: Iterator[bytes], pause: float) -> bytes:
    """The body, by a reader that is busy elsewhere after the first piece."""
    first = next(pieces, b"")
    time.sleep(pause)
    return first + b"".join(pieces)


@contextmanager
def through_requests(address: str, scheme: str, ca: str) -> Iterator[Get]:
    """The shipped door, with nothing but its deadline at work."""
    settings = {"endpoints": [address], "retry": {"attempts": 1}, "ejection": {"enabled": False}, "tls": {"ca": ca}}
    settings["circuit"] = {"enabled": False}
    mesh = Mesh.from_settings({"services": {"inventory": settings}})
    with requests.Session() as session:
        session.mount(f"{scheme}://", MeshAdapter(mesh, pool_maxsize=50))

        def get(path: str, deadline: float, pause: float = 0.0) -> bytes:
            if not pause:
                return session.get(f"{scheme}://inventory/{path}", timeout=deadline).content
            with (
                meshware.request_context(deadline=deadline),  # a stream's own timeout ends at the headers
                session.get(f"{scheme}://inventory/{path}", stream=True) as answer,
            ):
                return slowly(answer.iter_content(1000), pause)

        yield get
    mesh.close()


cutting: ContextVar[Cut] = ContextVar("cutting")
"""The deadline of the call that runs on this thread."""


def cuttable(httpcore: Any) -> Any:
    """A network backend whose streams can be cut from the connect on, TLS handshake included."""

    class Stream(httpcore.NetworkStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner
            self.cut = cutting.get()
            self.cut.attach(inner.get_extra_info("socket"))

        def write(self, buffer: bytes, timeout: float | None = None) -> None:
            self.cut = cutting.get()  # a kept connection has a new call
            self.cut.attach(self._inner.get_extra_info("socket"))
            self._inner.write(buffer, timeout)

        def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
            data = self._inner.read(max_bytes, timeout)
            if self.cut.fired:  # what was queued before the cut is dropped
                raise httpcore.ReadTimeout("cut at the deadline")
            return data

        def start_tls(self, *args: Any, **options: Any) -> Any:
            with self._inner.get_extra_info("socket").dup() as handle:  # the socket itself is the TLS layer's now
                self.cut.attach(handle)
                shaken = self._inner.start_tls(*args, **options)
                return Stream(shaken)

        def get_extra_info(self, info: str) -> Any:
            return self._inner.get_extra_info(info)

        def close(self) -> None:
            self.cut.release()  # its own: the pool may close an old connection in the middle of another call
            self._inner.close()

    class Backend(httpcore.SyncBackend):
        def connect_tcp(self, *args: Any, **options: Any) -> Any:
            return Stream(super().connect_tcp(*args, **options))

    return Backend()


def releasing(client_module: Any) -> Any:
    """A transport whose answers release their cut before httpcore has the connection back."""

    class Body(client_module.SyncByteStream):
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __iter__(self) -> Iterator[bytes]:
            yield from self._inner

        def close(self) -> None:
            cutting.get().release()
            self._inner.close()

    class Transport(client_module.HTTPTransport):
        def handle_request(self, request: Any) -> Any:
            answer = super().handle_request(request)
            answer.stream = Body(answer.stream)
            return answer

    return Transport


def wary(pool: Any) -> Any:
    """Httpcore's pool, but a connection that was cut is never given to another request.

    It is readable (end of file), which httpcore takes for expired; but it looks at that first and assigns
    requests later, and a connection that comes back in between is used unseen: one stranger in 8,000 was hit.
    """
    create = pool.create_connection

    def create_connection(origin: Any) -> Any:
        connection = create(origin)
        available = connection.is_available
        connection.is_available = lambda: available() and not connection._connection._network_stream.cut.fired
        return connection

    pool.create_connection = create_connection
    return pool


def through_httpx(name: str) -> Client:
    """httpx or httpx2, by its own name."""
    client_module, core = import_module(name), import_module(name.replace("httpx", "httpcore"))

    @contextmanager
    def through(address: str, scheme: str, ca: str) -> Iterator[Get]:
        transport = releasing(client_module)(verify=ssl.create_default_context(cafile=ca))
        wary(transport._pool)._network_backend = cuttable(core)
        with client_module.Client(transport=transport, timeout=30) as client:

            def get(path: str, deadline: float, pause: float = 0.0) -> bytes:
                cut = Cut(time.monotonic() + deadline)
                token = cutting.set(cut)
                reaper().watch(cut)
                url, extensions = f"{scheme}://{address}/{path}", {"sni_hostname": "inventory"}
                try:
                    with client.stream("GET", url, extensions=extensions) as answer:
                        return slowly(answer.iter_raw(), pause)
                except client_module.TransportError as error:
                    if not cut.fired:
                        raise
                    raise DeadlineExceeded("inventory", deadline, 1) from error
                finally:
                    cut.release()
                    cutting.reset(token)

            yield get

    return through


CLIENTS: dict[str, Client] = {
    "requests": through_requests,
    "httpx": through_httpx("httpx"),
    "httpx2": through_httpx("httpx2"),
}
