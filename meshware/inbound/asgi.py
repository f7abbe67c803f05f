"""The door in for any ASGI app, Starlette's and FastAPI's among them: pure ASGI, for http and websocket.

Each request gets a context that its outbound calls take part in, in force in the task that the server runs
the app in and in all that it starts, to the last byte and beyond: the answer ends the deadline, the app's
return the context. An HTTP caller who leaves before he has his answer cancels the async calls made for it.
Exceptions of the app pass, ours among them.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from meshware.context import ALLOWANCE, RequestContext, enter, leave
from meshware.health.load import PATH
from meshware.inbound.asgi_caller import AsgiCaller
from meshware.inbound.door import Door, Refused, marks, open_own_mesh
from meshware.outbound.instrument import instrument as instrument_clients
from meshware.security.trust import LOAD, REQUEST

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from meshware.mesh import Mesh


class MeshMiddleware:
    """`app.add_middleware(MeshMiddleware, settings="shop.mesh")`, or `app = MeshMiddleware(app, settings={...})`.

    `settings`: a mapping, a dotted module path, or the settings model; or a ready `mesh`. `instrument=False`
    leaves the clients alone: then mount `AsyncMeshTransport` yourself.

    What is wrong with the settings is told where the server asks whether the app has started (lifespan), so
    that it stops there: Starlette makes its middleware no earlier. A server that never asks gets it with each
    request. A mesh that was opened here is closed when the server shuts down.

    A request that is refused (docs/overload.md), such as one whose deadline has passed on arrival, is answered 504,
    503 or 429, a websocket is closed before it is accepted, and the app is not called.
    """

    def __init__(
        self, app: ASGIApp, settings: Any = None, *, mesh: Mesh | None = None, instrument: bool = True
    ) -> None:
        if mesh is not None and settings is not None:
            raise TypeError("MeshMiddleware takes settings or a mesh, not both")
        self.app = app
        self._settings, self._given, self._instrument = settings, mesh, instrument
        self._open()

    @property
    def mesh(self) -> Mesh:
        """The mesh of each request. Raises what was wrong with its settings."""
        return self._ready().mesh

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the server's start and end."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PATH:
            report = self._ready().probed(scope["method"], _peer(scope))
            if report is not None:
                await _report(send, report)
                return
        caller = AsgiCaller(scope, receive)
        context = _opened(self._ready(), scope, caller=caller)
        if isinstance(context, Refused):
            await _refused(scope, send, context)
            return
        token = enter(context)
        try:
            await self.app(scope, caller.receive, _answering(send, context, caller))
        except (asyncio.CancelledError, RuntimeError) as error:
            if not caller.left or not _ended_by_leaving(error):
                context.failed(error)
                raise
            if not caller.has_headers:
                await _left(send)
        except Exception as error:
            context.failed(error)
            raise
        finally:
            leave(token)
            caller.answered()
            context.done()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        context = _opened(self._ready(), scope, allowance=None)  # it may live for days
        if isinstance(context, Refused):
            await send({"type": "websocket.close", "code": 1013, "reason": context.text.strip()})  # try again later
            return
        token = enter(context)
        try:
            await self.app(scope, receive, _answering(send, context, None))
        finally:
            leave(token)
            context.done()

    # The server's start and end

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._closed:
            self._open()
        if self._refused is not None:
            await receive()
            await send({"type": "lifespan.startup.failed", "message": f"meshware: {self._refused}"})

        async def tell(message: Message) -> None:
            if message["type"] in _OVER:
                self._close()
            await send(message)

        self._ready()
        await self.app(scope, receive, tell)

    def _open(self) -> None:
        """What goes wrong here is kept: a server takes an app that raises at its start for one without a lifespan."""
        self._door: Door | None = None
        self._refused: Exception | None = None
        self._own = self._closed = False
        try:
            if self._given is None:
                mesh, self._own = open_own_mesh(self._settings)
            else:
                mesh = self._given
            if self._instrument:
                instrument_clients()
            self._door = Door(mesh)
        except Exception as error:
            self._refused = error

    def _close(self) -> None:
        """Requests that the server still has end as they would."""
        if self._own and not self._closed:
            self._closed = True
            self.mesh.close()

    def _ready(self) -> Door:
        if self._door is None:
            assert self._refused is not None
            raise self._refused.with_traceback(None)
        return self._door


def _opened(
    door: Door, scope: Scope, *, caller: AsgiCaller | None = None, allowance: int | None = ALLOWANCE
) -> RequestContext | Refused:
    """The context by what the headers say; or why there is none."""
    said: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        if name in _READ:
            said.setdefault(_READ[name], []).append(value.decode("latin-1"))
    method = "WEBSOCKET" if caller is None else scope["method"]
    return door.open(
        said,
        method,
        scope["path"],
        peer=_peer(scope),
        caller=caller,
        allowance=allowance,
        counted=caller is not None,
    )


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return client[0] if client else ""


async def _report(send: Send, report: str) -> None:
    """The answer to who asks how busy this server is."""
    await send({"type": "http.response.start", "status": 204, "headers": [(LOAD.encode(), report.encode())]})
    await send({"type": "http.response.body", "body": b""})


def _answering(send: Send, context: RequestContext, caller: AsgiCaller | None) -> Send:
    """The server's `send`, that tells the context how far the answer has come."""

    async def forward(message: Message) -> None:
        kind = message["type"]
        if kind in _ENDS:
            if not message.get("more_body"):
                context.responded()
                if caller is not None:
                    caller.answered()
        elif kind in _STARTS:
            if caller is not None:
                caller.has_headers = True
            headers = message.get("headers", ())
            added = marks(context, message["status"], headers)
            if added:
                ours = [(name.encode(), value.encode()) for name, value in added]
                message = {**message, "headers": [*headers, *ours]}
        await send(message)

    return forward


_READ = {header.encode(): header for header in REQUEST}
"""The headers that we read, by what ASGI calls them."""

_OVER = {"lifespan.startup.failed", "lifespan.shutdown.complete", "lifespan.shutdown.failed"}
"""With these the app says that it will serve nothing more."""

_STARTS = {"http.response.start", "websocket.http.response.start"}
_ENDS = {
    "http.response.body",
    "http.response.pathsend",
    "http.response.zerocopysend",
    "websocket.accept",  # what follows has no natural end, and no deadline
    "websocket.close",
    "websocket.http.response.body",
}
"""After these, without more body to come, the answer has gone out."""


async def _refused(scope: Scope, send: Send, refused: Refused) -> None:
    """The answer to one that is not begun."""
    headers = [(name.lower().encode(), value.encode()) for name, value in refused.headers()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else refused.text.encode()})


def _ended_by_leaving(error: BaseException) -> bool:
    """Whether the request has ended because its caller left and his calls were cancelled, and for nothing else."""
    if isinstance(error, RuntimeError):
        return str(error) == "No response returned."  # what Starlette's BaseHTTPMiddleware makes of a cancelled app
    task = asyncio.current_task()
    return task is None or task.cancelling() == 0  # the calls take their own cancels back; the server's own stay


async def _left(send: Send) -> None:
    """For middlewares around us, some of which need an answer: nginx's status for it. The server sends it to nobody."""
    with suppress(OSError):
        await send({"type": "http.response.start", "status": 499, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
