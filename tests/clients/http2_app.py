"""The app behind the HTTP/2 server of the tests."""

from __future__ import annotations

import asyncio


async def app(scope, receive, send):
    """Says back its path; `/slow` after half a second, `/drip` in pieces."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    path = scope["path"]
    if path.startswith("/slow"):
        await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-host", host(scope))]})
    if path == "/drip":
        for _ in range(20):
            await send({"type": "http.response.body", "body": b".", "more_body": True})
            await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": path.encode()})


def host(scope):
    return dict(scope["headers"]).get(b"host", b"")
