"""What a call waits for when its service's endpoints have never been found yet, on a thread or in a task."""

from __future__ import annotations

from contextlib import suppress
from threading import Event, Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    Waiting = tuple[asyncio.AbstractEventLoop, asyncio.Event]


class FirstAnswer:
    """The first answer of a source, good or bad. Thread-safe; tasks of any loops may wait beside threads."""

    def __init__(self) -> None:
        self._come = Event()
        self._lock = Lock()
        self._tasks: set[Waiting] = set()

    def come(self) -> None:
        """Everybody goes on."""
        with self._lock:
            self._come.set()
            tasks = tuple(self._tasks)
        for loop, event in tasks:
            with suppress(RuntimeError):  # that loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(event.set)

    def wait(self, seconds: float) -> None:
        """Block this thread until it has come, at most so long."""
        self._come.wait(max(0.0, seconds))

    async def wait_async(self, seconds: float) -> None:
        """The same for a task; its loop runs on."""
        import asyncio

        waiting = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self._come.is_set():
                return
            self._tasks.add(waiting)
        try:
            async with asyncio.timeout(seconds):
                await waiting[1].wait()
        except TimeoutError:
            return
        finally:
            with self._lock:
                self._tasks.discard(waiting)
