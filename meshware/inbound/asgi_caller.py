"""Who waits for one HTTP answer, as ASGI knows him: `http.disconnect` is one of the app's own messages.

The app reads them through here. While somebody wants to hear that the caller leaves, and the app is not
reading, a task of ours reads ahead, and keeps what it finds for the app: no message is lost or out of order,
and of a body no more than one piece is held, so that an upload waits for its reader.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from meshware.core.caller import Caller

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope


class AsgiCaller(Caller):
    """The client of one HTTP request. All but `watch` and what it inherits is for the server's loop only."""

    __slots__ = ("_ahead", "_arrived", "_begun", "_loop", "_reading", "_receive", "_scope", "_task", "_watched")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__()
        self._scope = scope
        self._receive = receive
        self._loop = _running_loop()
        self._ahead: list[Message] = []
        self._task: asyncio.Task[None] | None = None
        self._begun = self._watched = False
        self._reading = 0

    # For the app

    async def receive(self) -> Message:
        """The app's next message, whoever reads it from the server."""
        self._begun = True
        try:
            while self._task is not None and not self._ahead:
                self._arrived.clear()
                await self._arrived.wait()
            return self._taken() if self._ahead else await self._asked()
        finally:
            if self._watched:
                self._look()

    def _taken(self) -> Message:
        message = self._ahead[0]
        if message["type"] == "http.request":
            del self._ahead[0]
        return message  # a disconnect stays: he never comes back

    async def _asked(self) -> Message:
        self._reading += 1
        try:
            message = await self._receive()
        finally:
            self._reading -= 1
        if message["type"] == "http.disconnect":
            self._watched = False
            self.leave(told=True)
        return message

    # For us

    def watch(self) -> None:
        """Begin to look whether he leaves; on the server's loop, wherever the call is made that wants to know."""
        if self._watched or self._loop is None:
            return
        if _running_loop() is self._loop:
            self._begin()
        else:
            with suppress(RuntimeError):  # the server's loop is closed: nobody is there to leave
                self._loop.call_soon_threadsafe(self._begin)

    def answered(self) -> None:
        """He has his answer: whatever he does from now on is no leaving."""
        super().answered()
        self._watched = False
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._watched = self.waits and not self.left
        self._look()

    def _look(self) -> None:
        """Read ahead, unless the app reads, or has not taken yet what we have."""
        if not self._watched or self._task is not None or self._reading or self._ahead:
            return
        if not self._begun and any(name == b"expect" for name, _ in self._scope["headers"]):
            return  # to read would ask him for the body (100 Continue): that is for the app to decide
        assert self._loop is not None
        self._arrived = asyncio.Event()
        self._task = self._loop.create_task(self._read_ahead())

    async def _read_ahead(self) -> None:
        try:
            more = False
            while not more:
                message = await self._receive()
                self._ahead.append(message)
                self._arrived.set()
                if message["type"] == "http.disconnect":
                    self._watched = False
                    self.leave()
                    return
                more = message.get("more_body", False)
        except Exception:
            self._watched = False  # the app meets it when it asks for itself
        finally:
            self._task = None
            self._arrived.set()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs here; None in a thread without one, and where the server is not asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
