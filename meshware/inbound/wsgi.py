"""The door in for any WSGI app: each request gets a context that its outbound calls take part in.

The context is in force around the app, around every step of its body and around `close()`, and is reset
each time: held from the first to the last, it would leak into the server's thread when a client never
closes. Exceptions of the app pass, ours among them: they are for its own handlers, debugger and server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from meshware.context import RequestContext, enter, leave
from meshware.health.load import PATH
from meshware.inbound.door import Door, Refused, marks, open_mesh
from meshware.outbound.instrument import instrument as instrument_clients
from meshware.security.trust import LOAD, REQUEST

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from meshware.mesh import Mesh


class MeshMiddleware:
    """`app = MeshMiddleware(app, settings={...})`. Thread-safe.

    `settings`: a mapping, a dotted module path, or the settings model; or a ready `mesh`. `instrument=False`
    leaves the clients alone: then mount `MeshAdapter` yourself. Raises SettingsError with every problem.

    A request that is refused (docs/overload.md), such as one whose deadline has passed on arrival, is answered 504,
    503 or 429, and the app is not called.
    """

    def __init__(
        self, app: WSGIApplication, settings: Any = None, *, mesh: Mesh | None = None, instrument: bool = True
    ) -> None:
        if mesh is not None and settings is not None:
            raise TypeError("MeshMiddleware takes settings or a mesh, not both")
        self.app = app
        self.mesh = open_mesh(settings) if mesh is None else mesh
        self._door = Door(self.mesh)
        if instrument:
            instrument_clients()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        if environ.get("PATH_INFO") == PATH:
            report = self._door.probed(environ["REQUEST_METHOD"], environ.get("REMOTE_ADDR", ""))
            if report is not None:
                start_response("204 No Content", [(LOAD, report)])
                return []
        said = {name: environ[key].split(",", 1) for key, name in _READ if key in environ}
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        context = self._door.open(said, environ["REQUEST_METHOD"], path, peer=environ.get("REMOTE_ADDR", ""))
        if isinstance(context, Refused):
            return _refused(environ, start_response, context)
        token = enter(context)
        try:
            body = self.app(environ, _marking(start_response, context))
            if not _inert(body, environ):
                return _Body(body, context)
        except BaseException as error:
            context.failed(error)
            context.done()
            raise
        finally:
            leave(token)
        context.done()
        return body


def _refused(environ: WSGIEnvironment, start_response: StartResponse, refused: Refused) -> Iterable[bytes]:
    """The answer to one that is not begun."""
    start_response(f"{refused.status} {HTTPStatus(refused.status).phrase}", refused.headers())
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [refused.text.encode()]


def _inert(body: Iterable[bytes], environ: WSGIEnvironment) -> bool:
    """Whether no code of the app runs while the body is sent.

    Then the server gets it as it is: it may ask a list for its length, or send a file by the kernel. The
    file wrapper may be a function (uWSGI's is), of which nothing is an instance.
    """
    wrapper = environ.get("wsgi.file_wrapper")
    return type(body) in (list, tuple) or (isinstance(wrapper, type) and isinstance(body, wrapper))


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
        token = enter(self._context)
        try:
            if close is not None:
                close()
        finally:
            leave(token)
            self._context.done()


def _marking(start_response: StartResponse, context: RequestContext) -> Any:
    """The server's `start_response`, with what we have to say of the answer."""

    def answer(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        added = marks(context, int(status[:3]) if status[:3].isdecimal() else 500, headers)
        return start_response(status, [*headers, *added] if added else headers, *exc_info)

    return answer


_READ = tuple(("HTTP_" + header.upper().replace("-", "_"), header) for header in REQUEST)
"""What WSGI calls the headers that we read; its servers join the values of repeated ones by a comma."""
