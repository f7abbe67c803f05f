"""The callers of a drill: this process, by requests and a mesh, so that what the mesh says is heard as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import requests

from meshware.cli.demo.load import Called
from meshware.mesh import Mesh
from meshware.outbound.requests import MeshAdapter


@asynccontextmanager
async def calling(
    mesh: Mesh, url: str, schedule: Sequence[float], *, started: float, record: Callable[[Called], None], threads: int
) -> AsyncIterator[None]:
    """Open loop: each call is sent at its time after `started`, whatever became of those before it.

    `threads`: calls that can be under way at once. Who goes away leaves the rest of the schedule.
    """
    with requests.Session() as session, ThreadPoolExecutor(threads) as pool:
        session.trust_env = False
        session.mount("http://", MeshAdapter(mesh, pool_maxsize=threads))

        def call(at: float) -> None:
            try:
                status = session.get(url).status_code
            except requests.RequestException:
                status = None
            record(Called(at, time.monotonic() - started - at, status))

        async def all_of_them() -> None:
            for at in schedule:
                await asyncio.sleep(max(0.0, started + at - time.monotonic()))
                pool.submit(call, at)

        calls = asyncio.create_task(all_of_them())
        try:
            yield
        finally:
            calls.cancel()
