"""The last tier: Starlette on uvicorn, which answers as the file MOOD says, and writes to LOG each request it reads."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from meshware.inbound.asgi import MeshMiddleware

MOOD = Path(os.environ["MOOD"])
LOG = os.open(os.environ["LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
AT_ONCE = struct.pack("ii", 1, 0)


class Moody(H11Protocol):
    """Resets, or falls silent, once a request was read."""

    def data_received(self, data):
        requests = data.count(b" /item HTTP/1.1\r\n")
        os.write(LOG, b"item\n" * requests)
        mood = MOOD.read_text() if requests else "ok"
        if mood == "reset":
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            self.transport.abort()
        elif mood != "silent":
            super().data_received(data)


async def item(request):
    return PlainTextResponse("in stock", 503 if MOOD.read_text() == "503" else 200)


app = Starlette(routes=[Route("/item", item)], middleware=[Middleware(MeshMiddleware, settings={"service": "stock"})])
