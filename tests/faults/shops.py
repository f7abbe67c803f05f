"""Shops in Flask, Django and Starlette whose one view calls `inventory`, and load on them at a steady pace."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, NamedTuple

from faults.callers import Caller
from inbound.asgi_server import Exchange
from werkzeug.test import Client as WsgiClient

from meshware.mesh import Mesh

URL = "http://inventory/item"
WORKERS = 24
"""Requests at a time at most: as many as may hang until a deadline."""


class Served(NamedTuple):
    """One request to the shop: when it began, how long it took, and whether its call got a good and whole answer."""

    at: float
    elapsed: float
    good: bool


class SyncCall:
    """The sync view's call; each thread has a client of its own."""

    def __init__(self, library: str, mesh: Mesh, method: str) -> None:
        self._facts, self._method = (library, mesh), method
        self._mine = threading.local()
        self._all: list[Caller] = []

    def __call__(self) -> bool:
        if not hasattr(self._mine, "caller"):
            self._mine.caller = Caller(*self._facts)
            self._all.append(self._mine.caller)
        caller = self._mine.caller
        try:
            answer = caller.ask(self._method, URL, b"order" if self._method == "POST" else None)
        except caller.error:
            return False
        return bool(answer.text == "ok")

    def end(self) -> None:
        """Close all clients."""
        for caller in self._all:
            caller.end()


def flask_shop(settings: Any, call: SyncCall) -> Any:
    """A Flask app."""
    from flask import Flask

    from meshware.inbound.flask import Meshware

    app = Flask("shop")
    Meshware(app, settings=settings, instrument=False)
    app.add_url_rule("/", view_func=lambda: ("", 200 if call() else 502))
    return app


def django_shop(settings: Any, call: SyncCall) -> Any:
    """A Django app; its settings are in force for as long as the process has no others."""
    import frameworks.django_site  # noqa: F401
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.test import override_settings
    from django.urls import path

    urls = type("urls", (), {"urlpatterns": [path("", lambda request: HttpResponse(status=200 if call() else 502))]})
    override_settings(MESHWARE=settings, ROOT_URLCONF=urls).enable()
    return WSGIHandler()


WSGI_SHOPS = {"flask": flask_shop, "django": django_shop}


class WsgiLoad:
    """Threads that ask a WSGI app, in process."""

    def __init__(self, app: Any, call: SyncCall) -> None:
        self._client, self._call = WsgiClient(app), call

    def run(self, rate: float, until: Callable[[], bool], served: list[Served]) -> None:
        """So many requests a second, until told to stop."""
        with ThreadPoolExecutor(WORKERS) as pool:
            began, number = time.monotonic(), 0
            while not until():
                number += 1
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
                pool.submit(self._ask, served)

    def _ask(self, served: list[Served]) -> None:
        at = time.monotonic()
        status = self._client.get("/").status_code
        served.append(Served(at, time.monotonic() - at, status == 200))

    def end(self) -> None:
        """Close what the view calls by."""
        self._call.end()


class AsgiLoad:
    """Tasks of one loop that ask a Starlette app, in process."""

    def __init__(self, settings: Any, library: str, mesh: Mesh, method: str) -> None:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.responses import Response
        from starlette.routing import Route

        from meshware.inbound.asgi import MeshMiddleware

        self._client: Any = None
        self._call: SyncCall | None = None
        if library == "requests":
            self._call = call = SyncCall(library, mesh, method)

            def view(request: Any) -> Response:
                return Response(status_code=200 if call() else 502)
        else:
            module = import_module(library)
            transport = import_module(f"meshware.outbound.{library}").AsyncMeshTransport(mesh)
            self._client = module.AsyncClient(transport=transport)

            async def view(request: Any) -> Response:  # type: ignore[misc]
                try:
                    answer = await self._client.request(method, URL, content=b"order" if method == "POST" else None)
                except module.TransportError:
                    return Response(status_code=502)
                return Response(status_code=200 if answer.text == "ok" else 502)

        middleware = [Middleware(MeshMiddleware, settings=settings, instrument=False)]
        self._app = Starlette(routes=[Route("/", view)], middleware=middleware)
        self._runner = asyncio.Runner()

    def run(self, rate: float, until: Callable[[], bool], served: list[Served]) -> None:
        """So many requests a second, until told to stop."""
        self._runner.run(self._run(rate, until, served))

    async def _run(self, rate: float, until: Callable[[], bool], served: list[Served]) -> None:
        began, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as tasks:
            while not until():
                number += 1
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                tasks.create_task(self._ask(served))

    async def _ask(self, served: list[Served]) -> None:
        at = time.monotonic()
        exchange = await Exchange(self._app).run()
        served.append(Served(at, time.monotonic() - at, exchange.status == 200))

    def end(self) -> None:
        """Close client and loop."""
        if self._call is not None:
            self._call.end()
        if self._client is not None:
            self._runner.run(self._client.aclose())
        self._runner.close()


def load_on(framework: str, settings: Any, library: str, mesh: Mesh, method: str) -> WsgiLoad | AsgiLoad:
    """A shop and what asks it."""
    if framework == "starlette":
        return AsgiLoad(settings, library, mesh, method)
    call = SyncCall(library, mesh, method)
    return WsgiLoad(WSGI_SHOPS[framework](settings, call), call)
