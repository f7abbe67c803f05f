"""What is wrong with single entries of a source's answers: each told once, in one line a minute at most."""

from __future__ import annotations

from math import inf

QUIET = 60.0
"""Seconds between two tellings."""


class Refusals:
    """For one thread. `standing`: what is wrong with the last answer."""

    def __init__(self) -> None:
        self.standing: tuple[str, ...] = ()
        self._told: frozenset[str] = frozenset()
        self._told_at = -inf

    def due(self, refused: tuple[str, ...], now: float) -> tuple[str, ...]:
        """What of a new answer's refusals is to be told now. What is not wrong any more may be told again later."""
        self.standing = refused
        self._told &= frozenset(refused)
        new = tuple(each for each in dict.fromkeys(refused) if each not in self._told)
        if not new or now - self._told_at < QUIET:
            return ()
        self._told |= frozenset(new)
        self._told_at = now
        return new
