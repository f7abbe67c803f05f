"""Whose places are whose: a table of keys on the board. Only for who holds the gate."""

from __future__ import annotations

from collections.abc import Callable

ABANDONED = 60.0
"""Seconds after which a place that nobody has used may be another's."""


class Slots:
    """A look at one table of keys, and at when each was last used where places are ever given to others."""

    def __init__(self, keys: memoryview[int], seen: memoryview[float] | None = None) -> None:
        self._keys, self._seen = keys, seen
        listed = keys.tolist()
        self._known = {key: slot for slot, key in enumerate(listed) if key}
        self._free = [slot for slot, key in enumerate(listed) if not key]

    def slot(self, key: int, now: float = 0.0, empty: Callable[[int], None] = lambda slot: None) -> int | None:
        """The place of this key, made if there is none; `empty` wipes what another had there. None: no room."""
        slot = self._known.get(key)
        if slot is None:
            slot = self._free.pop(0) if self._free else self._abandoned(now)
            if slot is None:
                return None
            empty(slot)
            self._keys[slot] = key
            self._known[key] = slot
        if self._seen is not None:
            self._seen[slot] = now
        return slot

    def _abandoned(self, now: float) -> int | None:
        """The first that nobody uses any more, taken from who had it."""
        if self._seen is None:
            return None
        for key, slot in self._known.items():
            if now - self._seen[slot] > ABANDONED:
                del self._known[key]
                return slot
        return None
