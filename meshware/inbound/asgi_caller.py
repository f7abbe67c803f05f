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

    __slots__ = ("_ahead", "_loop", "_receive", "_scope", "asked", "has_headers", "reading")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        super().__init__()
        self._scope = scope
        self._receive = receive
        self._loop = _running_loop()
        self._ahead: _Ahead | None = None
        self.asked = self.has_headers = False
        self.reading = 0

    async def receive(self) -> Message:
        """The app's next message, whoever reads it from the server."""
        self.asked = True
        if self._ahead is not None:
            held = await self._ahead.take()
            if held is not None:
                return held
        self.reading += 1
        try:
            message = await self._receive()
        finally:
            self.reading -= 1
            if self._ahead is not None:
                self._ahead.go_on()
        if message["type"] == "http.disconnect":
            self.leave(told=True)
        return message

    def watch(self) -> None:
        """Begin to look whether he leaves; on the server's loop, wherever the call is made that wants to know."""
        if self._ahead is not None or self._loop is None:
            return
        if _running_loop() is self._loop:
            self._begin()
        else:
            with suppress(RuntimeError):  # the server's loop is closed: nobody is there to leave
                self._loop.call_soon_threadsafe(self._begin)

    def answered(self) -> None:
        """He has his answer: whatever he does from now on is no leaving."""
        self.waits = False
        if self._ahead is not None:
            self._ahead.stop()

    def _begin(self) -> None:
        if self.waits and self._ahead is None:
            continues = any(name == b"expect" for name, _ in self._scope["headers"])
            self._ahead = _Ahead(self, self._receive, waits_to_be_asked=continues)
            self._ahead.go_on()


class _Ahead:
    """Reads ahead of the app, while the app is not reading itself and has taken what there is."""

    def __init__(self, caller: AsgiCaller, receive: Receive, *, waits_to_be_asked: bool) -> None:
        self._caller = caller
        self._receive = receive
        self._waits_to_be_asked = waits_to_be_asked
        self._failed = False
        self._held: list[Message] = []
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> Message | None:
        """The next message, when one is held or being read; None when the app has to read for itself."""
        while self._task is not None and not self._held:
            self._arrived.clear()
            await self._arrived.wait()
        if not self._held:
            return None
        message = self._held[0]
        if message["type"] == "http.request":  # he who has left is gone for good
            del self._held[0]
            self.go_on()
        return message

    def go_on(self) -> None:
        """Read ahead, if that is needed and right now."""
        caller = self._caller
        busy = self._task is not None or self._held or caller.reading
        if busy or self._failed or caller.left or not caller.waits:
            return
        if caller.asked or not self._waits_to_be_asked:  # to read would ask for the body (100 Continue)
            self._task = asyncio.create_task(self._read())

    def stop(self) -> None:
        """Nobody wants to know any more."""
        if self._task is not None:
            self._task.cancel()

    async def _read(self) -> None:
        try:
            more = False
            while not more:
                message = await self._receive()
                self._held.append(message)
                self._arrived.set()
                if message["type"] == "http.disconnect":
                    self._caller.leave()
                    return
                more = message.get("more_body", False)
        except Exception:
            self._failed = True  # the app meets it when it asks for itself
        finally:
            self._task = None
            self._arrived.set()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that runs here; None in a thread without one, and where the server is not asyncio's."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
