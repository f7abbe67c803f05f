"""The middleware: each request gets a context, in force in the view and in every step of its answer's body.

It works in sync and in async stacks as it is. Exceptions of the view are Django's to answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from meshware.context import RequestContext, enter, leave
from meshware.health.load import PATH
from meshware.inbound.django.mesh import door
from meshware.inbound.door import Refused, marks
from meshware.outbound.instrument import instrument as instrument_clients
from meshware.security.trust import LOAD, REQUEST

_READ = tuple(("HTTP_" + header.upper().replace("-", "_"), header) for header in REQUEST)
"""What META calls the headers that we read; the values of repeated ones are joined by a comma."""


class MeshMiddleware:
    """First in MIDDLEWARE, so that the others' calls are covered too. Raises SettingsError with every problem.

    The clients of the process are instrumented unless `settings.MESHWARE_INSTRUMENT` is False. A request that is
    refused (docs/overload.md), such as one whose deadline has passed on arrival, is answered 504, 503 or 429, and no
    view is called.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._door = door()
        if getattr(settings, "MESHWARE_INSTRUMENT", True):
            instrument_clients()
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if self._async:
            return self._call_async(request)
        if request.path == PATH and (report := self._probed(request)) is not None:
            return report
        context = self._opened(request)
        if isinstance(context, Refused):
            return HttpResponse(context.text, status=context.status, headers=dict(context.headers()))
        token = enter(context)
        try:
            return _followed(self.get_response(request), context)
        except BaseException as error:
            context.failed(error)
            context.done()
            raise
        finally:
            leave(token)

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        if request.path == PATH and (report := self._probed(request)) is not None:
            return report
        context = self._opened(request)
        if isinstance(context, Refused):
            return HttpResponse(context.text, status=context.status, headers=dict(context.headers()))
        token = enter(context)
        try:
            return _followed(await self.get_response(request), context)
        except BaseException as error:  # the caller's leaving, or a server that stops
            context.failed(error)
            context.done()
            raise
        finally:
            leave(token)

    def _probed(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to who asks how busy this server is, and may hear it."""
        report = self._door.probed(request.method or "", request.META.get("REMOTE_ADDR") or "")
        return None if report is None else HttpResponse(status=204, headers={LOAD: report})

    def _opened(self, request: HttpRequest) -> RequestContext | Refused:
        meta = request.META
        said = {name: meta[key].split(",", 1) for key, name in _READ if key in meta}
        return self._door.open(said, request.method or "", request.path, peer=meta.get("REMOTE_ADDR") or "")


def _followed(response: HttpResponseBase, context: RequestContext) -> HttpResponseBase:
    """The answer, its mark and its end watched; what runs in its body and at its end does so in the context."""
    for name, value in marks(context, response.status_code, response.items()):
        response[name] = value
    if isinstance(response, StreamingHttpResponse) and getattr(response, "file_to_stream", None) is None:
        steps = _steps_async if response.is_async else _steps
        response.streaming_content = steps(response.streaming_content, context)
    # A method, not an object to call: CPython 3.11 crashes when a generator closes itself by one (Django's test client)
    response.close = _Closer(response, context).close  # type: ignore[method-assign]
    return response


class _Closer:
    """Closes an answer in its request's context, which ends then. An answer that comes from a cache has none."""

    __slots__ = ("_close", "_context", "_response")

    def __init__(self, response: HttpResponseBase, context: RequestContext | None = None) -> None:
        self._response = response
        self._close = response.close
        self._context = context

    def close(self) -> None:
        """What the server calls when it has sent the answer."""
        context = self._context
        if context is None:
            self._close()
            return
        context.responded()
        token = enter(context)
        try:
            self._close()
        finally:
            leave(token)
            context.done()

    def __reduce__(self) -> tuple[Any, ...]:
        """For caches outside of ours: the answer has no attributes yet when they load it, so its `close` is its own."""
        return _Closer, (self._response,)


def _steps(content: Any, context: RequestContext) -> Iterator[Any]:
    pieces = iter(content)
    while True:
        token = enter(context)
        try:
            piece = next(pieces)
        except StopIteration:
            context.responded()
            return
        finally:
            leave(token)
        yield piece


async def _steps_async(content: Any, context: RequestContext) -> AsyncIterator[Any]:
    pieces = aiter(content)
    while True:
        token = enter(context)
        try:
            piece = await anext(pieces)
        except StopAsyncIteration:
            context.responded()
            return
        finally:
            leave(token)
        yield piece
