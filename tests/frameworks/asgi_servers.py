"""A real uvicorn in a thread of this process, on a free port, and a client that leaves when it likes."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import contextmanager, suppress

import uvicorn

STARTUP = 30.0
"""Seconds that the server may take on a busy machine before it serves."""


class NotServing(Exception):
    """The server has not started."""


@contextmanager
def uvicorn_serving(app, **options):
    """Serves until the block ends, in which all that it was asked for has ended; yields the port."""

    def run(listener):
        with suppress(SystemExit):  # how it refuses to start
            server.run(sockets=[listener])

    server = uvicorn.Server(uvicorn.Config(app, log_config=None, **options))
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        thread = threading.Thread(target=run, args=(listener,))
        thread.start()
        until = time.monotonic() + STARTUP
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        try:
            if not server.started:
                raise NotServing
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(STARTUP)
            assert not thread.is_alive()


def request_bytes(path, *, headers=(), method="GET", body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: shop", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(port, path, **options):
    """One request on a connection of its own: status, headers as they were sent, and the body, still chunked if so."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request_bytes(path, **options))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), body.decode()
    finally:
        writer.close()


@contextmanager
def hanging_up(port, path, **options):
    """Asks, and hangs up at the end of the block without having read anything."""
    with socket.create_connection(("127.0.0.1", port), STARTUP) as sock:
        sock.sendall(request_bytes(path, **options))
        yield
