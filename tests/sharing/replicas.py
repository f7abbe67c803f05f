"""Three replicas in one process, which know how many requests each has in flight. `/park` is never answered."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sharing.obeying import obey

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Replicas:
    def __init__(self, *, directory: str, count: int = 3) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._in_flight: dict[str, int] = {}
        self._addresses = asyncio.run_coroutine_threadsafe(self._start(count), self._loop).result()

    def addresses(self) -> list[str]:
        return self._addresses

    def in_flight(self) -> dict[str, int]:
        return dict(self._in_flight)

    async def _start(self, count: int) -> list[str]:
        return [await self._serve() for _ in range(count)]

    async def _serve(self) -> str:
        address = ""

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    self._in_flight[address] += 1
                    try:
                        if b"/park" in head:
                            await reader.read()
                            return
                        await asyncio.sleep(0.02)
                        writer.write(ANSWER)
                    finally:
                        self._in_flight[address] -= 1
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the worker has ended, or was killed
            finally:
                writer.close()

        server: Any = await asyncio.start_server(talk, "127.0.0.1", 0)
        address = "{}:{}".format(*server.sockets[0].getsockname())
        self._in_flight[address] = 0
        return address


if __name__ == "__main__":
    obey(Replicas)
