"""Three tiers, two workers each, behind real servers: Flask and Django on gunicorn, Starlette on uvicorn."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
STARTUP = 30.0
"""Seconds that a server may take on a busy machine before it serves."""

THREADS = 64
"""Of each gunicorn worker: as many requests as may hang in it."""

PATIENCE = 30.0
"""Seconds that a user waits."""


class Chain:
    """The tiers, in one folder. `stocks` are the addresses of the last one; `ports` those of the others."""

    def __init__(self, folder: Path, stocks: int) -> None:
        self.mood, self._log, self._connects = folder / "mood", folder / "requests", folder / "connects"
        for each, text in ((self.mood, "ok"), (self._log, ""), (self._connects, "")):
            each.write_text(text)
        self._servers = ExitStack()
        self._stocks: list[subprocess.Popen[bytes]] = []
        self._where = {"MOOD": str(self.mood), "LOG": str(self._log), "CONNECTS": str(self._connects)}
        self.stocks = [self._serve_stock(workers=2 // stocks) for _ in range(stocks)]
        orders = self._serve("orders", {"services": {"stock": {"endpoints": self.stocks}}})
        self.edge = self._serve("edge", {"services": {"orders": {"endpoints": [orders]}}})

    @property
    def requests(self) -> int:
        """Requests that the last tier has read."""
        return self._log.read_text().count("\n")

    @property
    def connects(self) -> int:
        """Connects to the last tier that the second has begun."""
        ports = {each.rpartition(":")[2] for each in self.stocks}
        return sum(line in ports for line in self._connects.read_text().split())

    def turn(self, mood: str) -> None:
        """Have the last tier answer so from now on; `refused` ends it."""
        if mood == "refused":
            for each in self._stocks:
                _end(each)
        self.mood.write_text(mood)

    def close(self) -> None:
        """End all."""
        self._servers.close()

    def _serve_stock(self, workers: int) -> str:
        def command(descriptor: int) -> list[str]:
            options = ["--workers", str(workers)] if workers > 1 else []
            chosen = ["tiers.stock:app", "--fd", str(descriptor), "--http", "tiers.stock:Moody", *options]
            return [sys.executable, "-m", "uvicorn", "--log-level", "error", *chosen]

        address, process = self._started(command, {})
        self._stocks.append(process)
        return address

    def _serve(self, tier: str, settings: dict[str, Any]) -> str:
        def command(descriptor: int) -> list[str]:
            bind = ["--bind", f"fd://{descriptor}", "--workers", "2", "--threads", str(THREADS)]
            chosen = [*bind, "--no-control-socket", "--log-level", "error", f"tiers.{tier}:app"]
            return [sys.executable, "-m", "gunicorn", *chosen]

        return self._started(command, {"TIERS": json.dumps({"service": tier, **settings})})[0]

    def _started(self, command: Any, where: dict[str, str]) -> tuple[str, subprocess.Popen[bytes]]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            number, port = listener.fileno(), listener.getsockname()[1]
            process = subprocess.Popen(
                command(number), cwd=TESTS, pass_fds=[number], env={**os.environ, **self._where, **where}
            )
        self._servers.callback(_end, process)
        return f"127.0.0.1:{port}", process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STARTUP)
    finally:
        process.kill()


@contextmanager
def chain(folder: Path, stocks: int) -> Iterator[Chain]:
    """The tiers, each serving."""
    made = Chain(folder, stocks)
    try:
        until = time.monotonic() + STARTUP
        while asked(made.edge, rate=2.0, seconds=1.0).count(200) < 2:
            assert time.monotonic() < until
        yield made
    finally:
        made.close()


def asked(address: str, *, rate: float, seconds: float) -> list[int]:
    """So many requests a second to the edge, whoever still waits: the statuses; 0 for none."""
    return asyncio.run(_asked(address, rate, seconds))


async def _asked(address: str, rate: float, seconds: float) -> list[int]:
    began, tasks = time.monotonic(), []
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        tasks.append(asyncio.create_task(_ask(address)))
    await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
    return list(await asyncio.gather(*tasks))


async def _ask(address: str) -> int:
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
    except OSError:
        return 0
    return int(answer.split(b" ", 2)[1]) if answer else 0
