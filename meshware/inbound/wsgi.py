"""The door in for any WSGI app: each request gets a context that its outbound calls take part in.

The context is in force around the app, around every step of its body and around `close()`, and is reset
each time: held from the first to the last, it would leak into the server's thread when a client never
closes. Exceptions of the app pass: they are the app's own to answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from meshware.context import RequestContext, enter, leave
from meshware.core.deadline import Deadline
from meshware.inbound.door import open_mesh
from meshware.security.trust import ATTEMPT, RETRIED, TrustedPeers, read_headers

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from meshware.mesh import Mesh

EXPIRED = b"the deadline had passed before the request was begun\n"


class MeshMiddleware:
    """`app = MeshMiddleware(app, settings={...})`. Thread-safe.

    `settings`: a mapping, a dotted module path, or the settings model; or a ready `mesh`. `instrument=False`
    leaves the clients alone: then mount `MeshAdapter` yourself. Raises SettingsError with every problem.

    A request whose deadline has passed on arrival is answered 504, and the app is not called.
    """

    def __init__(
        self, app: WSGIApplication, settings: Any = None, *, mesh: Mesh | None = None, instrument: bool = True
    ) -> None:
        self.app = app
        self.mesh = mesh if mesh is not None else open_mesh(settings, instrument=instrument)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        now = time.monotonic()
        inbound = read_headers(_reader(environ), trusted=self._trusts(environ), maximum=self._maximum())
        if inbound.timeout == 0:
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(EXPIRED)))]
            start_response("504 Gateway Timeout", headers)
            return [EXPIRED]
        deadline = None if inbound.timeout is None else Deadline.after(inbound.timeout, now)
        context = RequestContext(deadline, mesh=self.mesh, attempt=inbound.attempt)
        try:
            with _in_force(context):
                body = self.app(environ, _marking(start_response, context))
                if not isinstance(body, list | tuple | environ.get("wsgi.file_wrapper", list)):
                    return _Body(body, context)
        except BaseException:
            context.done()
            raise
        context.done()  # nothing of the app runs any more: the server may have the body as it is
        return body

    def _maximum(self) -> float | None:
        return self.mesh.settings.request_timeout

    def _trusts(self, environ: WSGIEnvironment) -> bool:
        """Whether the peer's marks are believed; asked only when there is one."""
        if _key(ATTEMPT) not in environ:
            return False
        return _peers(self.mesh.settings.trusted_peers)(environ.get("REMOTE_ADDR", ""))


_peers = lru_cache(maxsize=16)(TrustedPeers)  # networks are read once, not per request


class _Body:
    """The app's body; each step runs in the request's context."""

    __slots__ = ("_body", "_chunks", "_context")

    def __init__(self, body: Iterable[bytes], context: RequestContext) -> None:
        self._body = body
        self._chunks = iter(body)
        self._context = context

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        token = enter(self._context)
        try:
            return next(self._chunks)
        except StopIteration:
            self._context.responded()
            raise
        finally:
            leave(token)

    def close(self) -> None:
        """The server has sent what it will send; what the app does now is background work."""
        close: Callable[[], None] | None = getattr(self._body, "close", None)
        self._context.responded()
        try:
            if close is not None:
                with _in_force(self._context):
                    close()
        finally:
            self._context.done()


@contextmanager
def _in_force(context: RequestContext) -> Iterator[None]:
    token = enter(context)
    try:
        yield
    finally:
        leave(token)


def _marking(start_response: StartResponse, context: RequestContext) -> Any:
    """Tells the tier above that this one has retried already, on an answer that it might retry."""

    def answer(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        if context.retried and status.startswith("5"):
            headers = [*headers, (RETRIED, "1")]
        return start_response(status, headers, *exc_info)

    return answer


def _key(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")


def _reader(environ: WSGIEnvironment) -> Callable[[str], list[str]]:
    """All values of a header; WSGI servers join repeated ones by a comma."""

    def values(header: str) -> list[str]:
        value = environ.get(_key(header))
        return [] if value is None else value.split(",", 1)

    return values
