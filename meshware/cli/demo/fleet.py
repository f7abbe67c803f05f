"""The servers of one run: the replicas of each service and the storefront in front of them.

Whoever runs the incident kills, restarts and switches replicas here. Replicas listen outside of the
ports that the kernel gives to outgoing connections, or a dead one's port could be taken, and even
connect to itself, before it is back.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import click

from meshware.cli.demo.ask import Answer, ask
from meshware.cli.demo.plan import Kind, endpoints, service_of
from meshware.cli.demo.processes import Child, Processes

PORTS = range(12_000, 32_000)
"""Below the first outgoing port of Linux (32768) and macOS (49152)."""

WORKERS, THREADS = 2, 4
STARTUP = 30.0
"""Seconds for a server to be ready, or to say what it counted, on a machine that is busy with other things."""


@dataclass(slots=True)
class Replica:
    """One replica as the fleet sees it; `arrived` outlives the process."""

    name: str
    port: int
    control: int
    child: Child | None = None
    arrived: list[float] = field(default_factory=list)
    seen: int = 0
    turning: asyncio.Lock = field(default_factory=asyncio.Lock)


class Fleet:
    """The servers of one run. Used by one event loop; `stop` may be called at any time."""

    def __init__(self, variant: str, service_times: dict[str, float]) -> None:
        self._variant = variant
        self._service_times = service_times
        self.processes = Processes()
        self.replicas: dict[str, Replica] = {}
        self.port = 0

    async def start(self) -> None:
        """Start everything; returns when each server answers."""
        starting = []
        for name in endpoints():
            sockets = bound(), bound()
            self.replicas[name] = Replica(name, sockets[0].getsockname()[1], sockets[1].getsockname()[1])
            starting.append(self._start(self.replicas[name], *sockets))
        storefront = self._storefront()
        await asyncio.gather(*starting, ready(storefront, self.port, "/ready"))

    def _storefront(self) -> Child:
        listener = bound()
        self.port = listener.getsockname()[1]
        addresses: dict[str, list[str]] = {}
        for name, replica in self.replicas.items():
            addresses.setdefault(service_of(name), []).append(f"127.0.0.1:{replica.port}")
        with listener:
            return self.processes.spawn(
                f"storefront ({self._variant})",
                [
                    *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--no-control-socket"),
                    *("--workers", str(WORKERS), "--threads", str(THREADS), "--worker-class", "gthread"),
                    *("--graceful-timeout", "1", "--log-level", "warning"),
                    f"meshware.cli.demo.storefront:create_app({self._variant!r})",
                ],
                fds=[listener.fileno()],
                env={"MESHWARE_DEMO_SERVICES": json.dumps(addresses)},
            )

    async def _start(self, replica: Replica, service: socket.socket, control: socket.socket) -> None:
        with service, control:
            fds = [service.fileno(), control.fileno()]
            replica.child = self.processes.spawn(
                replica.name,
                [
                    *(sys.executable, "-m", f"meshware.cli.demo.{service_of(replica.name)}", "--name", replica.name),
                    *("--service-time", str(self._service_times[service_of(replica.name)])),
                    *("--fds", *map(str, fds)),
                ],
                fds=fds,
                env={},
            )
        replica.seen = 0
        await ready(replica.child, replica.control, "/arrivals")

    # Trouble

    async def turn(self, name: str, kind: Kind) -> None:
        """Make a replica so; returns when it is. From KILLED back to HEALTHY it is started again, on the same port."""
        replica = self.replicas[name]
        async with replica.turning:
            if replica.child is None:
                await self._start(replica, bound(replica.port), bound(replica.control))
            elif kind is Kind.KILLED:
                await self._fetch(replica)
                replica.child.kill()
                replica.child = None
            else:
                await self._control(replica, f"/behave?kind={kind.value}", method="POST")

    async def set_service_time(self, name: str, seconds: float) -> None:
        """Make a replica's work longer or shorter."""
        await self._control(self.replicas[name], f"/behave?service_time={seconds}", method="POST")

    async def count(self) -> None:
        """Fetch from each living replica when calls arrived there since the last time."""
        await asyncio.gather(*map(self._count, self.replicas.values()))

    async def _count(self, replica: Replica) -> None:
        async with replica.turning:
            if replica.child is not None:
                await self._fetch(replica)

    async def _fetch(self, replica: Replica) -> None:
        fresh: list[float] = json.loads((await self._control(replica, f"/arrivals?since={replica.seen}")).body)
        replica.seen += len(fresh)
        replica.arrived += fresh

    async def _control(self, replica: Replica, target: str, **how: Any) -> Answer:
        try:
            answer = await ask(replica.control, target, timeout=STARTUP, **how)
        except (OSError, ValueError) as error:
            raise click.ClickException(f"{replica.name} does not answer {target} ({error!r})") from error
        if answer.status != 200:
            raise click.ClickException(f"{replica.name} refuses {target}: {answer.status}")
        return answer

    def cpu(self) -> float:
        """CPU seconds used so far by all servers and by this process."""
        return self.processes.cpu() + time.process_time()

    def stop(self) -> None:
        """End every process; idempotent."""
        self.processes.stop()


async def ready(child: Child, port: int, target: str) -> None:
    """Wait until the server answers; ClickException with its output when it does not."""
    until = time.monotonic() + STARTUP
    while child.alive and time.monotonic() < until:
        try:
            if (await ask(port, target, timeout=2.0)).status == 200:
                return
        except (OSError, ValueError):
            pass  # not yet
        await asyncio.sleep(0.05)
    raise click.ClickException(f"{child.name} did not start:\n{child.wrote()}")


def bound(port: int | None = None) -> socket.socket:
    """A loopback socket bound to this port, or to a free one; it does not listen, so connects are refused."""
    for candidate in [port] if port is not None else random.Random(os.urandom(8)).sample(PORTS, 200):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", candidate))
        except OSError:
            sock.close()
            continue
        return sock
    raise click.ClickException(f"no free port among {port or PORTS}")


def machine() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
