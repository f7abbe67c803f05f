"""A replica of pricing: Starlette under uvicorn."""

from __future__ import annotations

import asyncio

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from meshware.cli.demo.replica import FAILS_IN, SLOTS, Replica, started


def made(replica: Replica, control_port: int) -> ASGIApp:
    """Service and control as one app, told apart by the port that a request came to."""
    slots = asyncio.Semaphore(SLOTS)

    async def serve(_request: Request) -> JSONResponse:
        if not replica.arrive():
            await asyncio.sleep(FAILS_IN)
            return JSONResponse({"error": "out of order"}, status_code=503)
        async with slots:
            await asyncio.sleep(replica.work)
        return JSONResponse({"from": replica.name})

    async def behave(request: Request) -> JSONResponse:
        return JSONResponse(replica.behave(request.query_params))

    async def arrivals(request: Request) -> JSONResponse:
        return JSONResponse(replica.arrivals(request.query_params))

    service = Starlette(routes=[Route("/{path:path}", serve)])
    control = Starlette(routes=[Route("/behave", behave, methods=["POST"]), Route("/arrivals", arrivals)])

    async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
        await (control if scope["server"][1] == control_port else service)(scope, receive, send)

    return by_port


def main() -> None:
    """Serve until a signal comes."""
    replica, sockets = started()
    app = made(replica, sockets[1].getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
