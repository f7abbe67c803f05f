"""The same shop in Starlette and in FastAPI: every kind of endpoint, and each tells which context it sees.

Its annotations are not postponed: FastAPI could not see the dependencies that are local here.
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import httpx2
import requests
from asgiref.sync import sync_to_async
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from meshware import propagate, remaining
from meshware.context import current
from meshware.inbound.asgi import MeshMiddleware
from meshware.inbound.fastapi import CurrentMesh, TimeLeft

PIECES = 5


class Notes:
    """What the shop noticed outside of its answers. Thread-safe."""

    def __init__(self):
        self.background = {}
        self.dependencies = {}
        self.cancelled = threading.Event()


def mine():
    """Which request's context is in force: each test request has a deadline of its own."""
    context = current()
    return "none" if context is None else f"{context.deadline.timeout:.3f}"


def pieces():
    for _ in range(PIECES):
        yield mine() + " "


async def pieces_async():
    for _ in range(PIECES):
        await asyncio.sleep(0)
        yield mine() + " "


async def everywhere():
    """The context in tasks, threads and pools."""

    async def child():
        await asyncio.sleep(0)
        return mine()

    seen = [await asyncio.create_task(child()), await asyncio.to_thread(mine), await sync_to_async(mine)()]
    seen += await asyncio.gather(child(), child())
    with ThreadPoolExecutor(1) as pool:
        seen.append(await asyncio.get_running_loop().run_in_executor(pool, propagate(mine)))
    return " ".join(seen)


def note_background(notes):
    notes.background[mine()] = (current().phase, remaining())


async def note_background_async(notes):
    await asyncio.sleep(0)
    note_background(notes)


async def call_slowly(notes, how):
    """An outbound call that the caller does not wait for."""
    async with httpx2.AsyncClient() as client:
        try:
            return (await client.get(f"http://inventory/{how}")).text
        except asyncio.CancelledError:
            notes.cancelled.set()
            raise


async def relayed(notes):
    """What a service sends, as it comes."""
    try:
        async with httpx2.AsyncClient() as client, client.stream("GET", "http://inventory/stall-body") as answer:
            async for piece in answer.aiter_bytes():
                yield piece
    except asyncio.CancelledError:
        notes.cancelled.set()
        raise


async def talk(socket: WebSocket):
    """Says for each message which context it sees."""
    await socket.accept()
    try:
        while True:
            await socket.receive_text()
            await socket.send_text(mine())
    except WebSocketDisconnect:
        pass


def starlette_shop(settings, notes):
    def plain(request):
        return PlainTextResponse(mine())

    async def plain_async(request):
        return PlainTextResponse(mine())

    async def stream(request):
        return StreamingResponse(pieces())

    async def stream_async(request):
        return StreamingResponse(pieces_async())

    async def file(request):
        return FileResponse(__file__, headers={"x-mine": mine()})

    async def background(request):
        return PlainTextResponse(mine(), background=BackgroundTask(note_background, notes))

    async def background_async(request):
        return PlainTextResponse(mine(), background=BackgroundTask(note_background_async, notes))

    async def tasks(request):
        return PlainTextResponse(await everywhere())

    def items(request):
        return PlainTextResponse(requests.get("http://inventory/ok", timeout=10).text)

    async def slow(request):
        await request.body()
        return PlainTextResponse(await call_slowly(notes, request.path_params["how"]))

    async def relay(request):
        return StreamingResponse(relayed(notes))

    views = [plain, plain_async, stream, stream_async, file, background, background_async, tasks, items, relay]
    routes = [Route(f"/{view.__name__}", view) for view in views]
    routes += [Route("/slow/{how}", slow, methods=["GET", "POST"]), WebSocketRoute("/talk", talk)]
    app = Starlette(routes=routes)
    app.add_middleware(MeshMiddleware, settings=settings)
    return app


def fastapi_shop(settings, notes):
    app = FastAPI(default_response_class=PlainTextResponse)
    app.add_middleware(MeshMiddleware, settings=settings)

    def kept():
        before = mine()
        yield before
        notes.dependencies[before] = mine()

    async def kept_async(outer: Annotated[str, Depends(kept)]):
        before = mine()
        yield f"{outer} {before}"
        notes.dependencies[before + " async"] = mine()

    @app.get("/plain")
    def plain(seen: Annotated[str, Depends(kept_async)]):
        return f"{seen} {mine()}"

    @app.get("/plain_async")
    async def plain_async(seen: Annotated[str, Depends(kept_async)], mesh: CurrentMesh, left: TimeLeft):
        assert mesh is current().mesh
        assert 0 < left <= float(mine())
        return f"{seen} {mine()}"

    @app.get("/stream")
    def stream(seen: Annotated[str, Depends(kept)]):
        return StreamingResponse(pieces())

    @app.get("/stream_async")
    async def stream_async(seen: Annotated[str, Depends(kept_async)]):
        return StreamingResponse(pieces_async())

    @app.get("/file")
    def file():
        return FileResponse(__file__, headers={"x-mine": mine()})

    @app.get("/background")
    def background(tasks: BackgroundTasks):
        tasks.add_task(note_background, notes)
        return mine()

    @app.get("/background_async")
    async def background_async(tasks: BackgroundTasks):
        tasks.add_task(note_background_async, notes)
        return mine()

    @app.get("/tasks")
    async def tasks():
        return await everywhere()

    @app.get("/items")
    def items():
        return requests.get("http://inventory/ok", timeout=10).text

    @app.get("/slow/{how}")
    async def slow(how: str):
        return await call_slowly(notes, how)

    @app.post("/slow/{how}")
    async def slow_upload(how: str, body: dict):
        return await call_slowly(notes, how)

    @app.get("/relay")
    async def relay():
        return StreamingResponse(relayed(notes))

    app.add_api_websocket_route("/talk", talk)
    return app


SHOPS = {"starlette": starlette_shop, "fastapi": fastapi_shop}
