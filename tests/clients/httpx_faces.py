"""httpx and httpx2, sync and async, under one face, so that each scenario is written once."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from importlib import import_module


class Sync:
    """One client of one of the two libraries, through the explicit transport or as it is."""

    kind = "Client"
    transport = "MeshTransport"

    def __init__(self, name, mesh=None, *, inner=None, meshed=True, **options):
        self.library = import_module(name)
        self.door = import_module(f"meshware.outbound.{name}")
        if meshed:
            options["transport"] = getattr(self.door, self.transport)(mesh, transport=inner)
        self.client = getattr(self.library, self.kind)(**options)

    def run(self, done):
        return done

    def request(self, method, url, **options):
        return self.run(self.client.request(method, url, **options))

    def get(self, url, **options):
        return self.request("GET", url, **options)

    def stream(self, url, **options):
        """The answer with its body unread."""
        return self.run(self.client.send(self.client.build_request("GET", url, **options), stream=True))

    def pieces(self, answer):
        yield from answer.iter_raw()

    def close(self, answer):
        answer.close()

    def end(self):
        self.client.close()


class Async(Sync):
    """The same on a loop of its own."""

    kind = "AsyncClient"
    transport = "AsyncMeshTransport"

    def __init__(self, *args, **options):
        self.runner = asyncio.Runner()
        super().__init__(*args, **options)

    def run(self, done):
        async def wait():
            return await done

        return self.runner.run(wait(), context=copy_context())

    def pieces(self, answer):
        pieces = answer.aiter_raw()
        while True:
            try:
                piece = self.run(anext(pieces))
            except StopAsyncIteration:
                return
            yield piece

    def close(self, answer):
        self.run(answer.aclose())

    def end(self):
        self.run(self.client.aclose())
        self.runner.close()


FACES = {
    "httpx2": lambda *args, **options: Sync("httpx2", *args, **options),
    "httpx2-async": lambda *args, **options: Async("httpx2", *args, **options),
    "httpx": lambda *args, **options: Sync("httpx", *args, **options),
    "httpx-async": lambda *args, **options: Async("httpx", *args, **options),
}


def custom_transport(face):
    """A transport of the user's own, around the library's."""
    library = face.library
    if "Async" in face.kind:

        class Mine(library.AsyncBaseTransport):
            def __init__(self):
                self.inner = library.AsyncHTTPTransport()

            async def handle_async_request(self, request):
                request.headers["x-mine"] = "1"
                return await self.inner.handle_async_request(request)

            async def aclose(self):
                await self.inner.aclose()

    else:

        class Mine(library.BaseTransport):
            def __init__(self):
                self.inner = library.HTTPTransport()

            def handle_request(self, request):
                request.headers["x-mine"] = "1"
                return self.inner.handle_request(request)

            def close(self):
                self.inner.close()

    return Mine()
