"""One replica of a service: Starlette under uvicorn, on a service port and a control port.

Run as a program by fleet.py, which hands over both sockets. The service port does one thing: take a slot,
work, answer. The control port switches the behaviour and tells when calls arrived here, as seen from here.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import time

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from meshware.cli.demo.plan import Kind

SLOTS = 2
"""Calls that a replica works on at a time: its capacity is SLOTS / service time."""

SLOWER = 20.0
"""How much longer a slow replica works on a call."""

FAILS_IN = 0.001
"""Seconds until a failing replica has answered its 503; it does no work."""


class Replica:
    """A replica's behaviour and its own count of the calls that reached it."""

    def __init__(self, name: str, service_time: float) -> None:
        self.name = name
        self.service_time = service_time
        self.kind = Kind.HEALTHY
        self.arrived: list[float] = []
        self._slots = asyncio.Semaphore(SLOTS)

    async def serve(self, request: Request) -> JSONResponse:
        """The service: a slot, some work, an answer."""
        self.arrived.append(time.monotonic())
        if self.kind is Kind.FAILING:
            await asyncio.sleep(FAILS_IN)
            return JSONResponse({"error": "out of order"}, status_code=503)
        async with self._slots:
            await asyncio.sleep(self.service_time * (SLOWER if self.kind is Kind.SLOW else 1.0))
        return JSONResponse({"from": self.name})

    async def behave(self, request: Request) -> JSONResponse:
        """Control: turn to `kind`, or to another service time."""
        query = request.query_params
        self.kind = Kind(query.get("kind", self.kind.value))
        self.service_time = float(query.get("service_time", self.service_time))
        return JSONResponse({"kind": self.kind.value, "service_time": self.service_time})

    async def arrivals(self, request: Request) -> JSONResponse:
        """Control: when calls arrived (monotonic seconds), without the first `since`."""
        return JSONResponse(self.arrived[int(request.query_params.get("since", "0")) :])

    def app(self, control_port: int) -> ASGIApp:
        """Both apps as one, told apart by the port that a request came to."""
        service = Starlette(routes=[Route("/{path:path}", self.serve)])
        control = Starlette(routes=[Route("/behave", self.behave, methods=["POST"]), Route("/arrivals", self.arrivals)])

        async def by_port(scope: Scope, receive: Receive, send: Send) -> None:
            await (control if scope["server"][1] == control_port else service)(scope, receive, send)

        return by_port


def main() -> None:
    """Serve until a signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--service-time", type=float, required=True)
    parser.add_argument("--fds", type=int, nargs=2, required=True, help="service socket, control socket")
    options = parser.parse_args()
    sockets = [socket.socket(fileno=fd) for fd in options.fds]
    app = Replica(options.name, options.service_time).app(sockets[1].getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=sockets)


if __name__ == "__main__":
    main()
