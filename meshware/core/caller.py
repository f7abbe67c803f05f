"""Caller: who waits for the answer to an inbound request, and may leave before he has it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock


class Caller:
    """Who waits for an answer, in a door that can tell when he leaves before he has it. Thread-safe.

    The app hears of it once: the calls under way are cancelled, or the next one, if there is none. What it
    calls after that (to clean up, say) runs undisturbed.
    """

    __slots__ = ("_callbacks", "_lock", "_told", "left", "waits")

    def __init__(self) -> None:
        self.left = False
        self.waits = True
        self._told = False
        self._callbacks: dict[object, Callable[[], object]] = {}
        self._lock = Lock()

    def on_leave(self, callback: Callable[[], object]) -> Callable[[], object]:
        """Have `callback` called when he leaves, from whatever thread sees it; gives what undoes that."""
        key = object()
        with self._lock:
            if not self.waits or self._told:
                return nothing
            late = self._told = self.left
            if not late:
                self._callbacks[key] = callback
        if late:
            callback()
            return nothing
        self.watch()
        return lambda: self._callbacks.pop(key, None)

    def watch(self) -> None:
        """For the door: somebody wants to hear of it. Called on the thread where the call begins."""

    def leave(self, *, told: bool = False) -> None:
        """He has left. `told`: the app knows it already, so that its next call is not cancelled."""
        with self._lock:
            if not self.waits or self.left:
                return
            self.left = True
            callbacks = list(self._callbacks.values())
            self._callbacks.clear()
            self._told = told or bool(callbacks)
        for callback in callbacks:
            callback()

    def answered(self) -> None:
        """He has his answer: whatever he does from now on is no leaving."""
        self.waits = False


def nothing() -> None:
    """Undoes what was never done."""
