"""A function of ours in a client's class, where other tools put theirs as well, before us and after us."""

from __future__ import annotations

from typing import Any


class Patch:
    """One attribute of a class. What another tool has put there since is left alone. Not thread-safe."""

    def __init__(self, kind: Any, name: str, ours: Any) -> None:
        self._kind, self._name, self._ours = kind, name, ours
        self._replaced: Any = None

    def put(self) -> None:
        """Ours from now on; if it was before, only when the library's own is there again."""
        there = getattr(self._kind, self._name)
        if there is not self._ours and (self._replaced is None or self._is_librarys(there)):
            self._replaced = there
            setattr(self._kind, self._name, self._ours)

    def take_back(self) -> None:
        """What was there before; ours stays where another tool has covered it, and may call it."""
        if getattr(self._kind, self._name) is self._ours:
            setattr(self._kind, self._name, self._replaced)
            self._replaced = None

    @property
    def under(self) -> Any:
        """What to call underneath: what ours has replaced, or what is there when ours is not."""
        there, replaced = getattr(self._kind, self._name), self._replaced
        if replaced is None or (there is not self._ours and self._is_librarys(there)):
            return there
        return replaced

    def _is_librarys(self, function: Any) -> bool:
        """By where it was written: `functools.wraps` copies the other signs."""
        written_in = getattr(function, "__globals__", {}).get("__name__", "")
        return bool(_root(written_in) == _root(self._kind.__module__))


def _root(module: str) -> str:
    return module.partition(".")[0]
