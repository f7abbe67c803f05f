"""Whether a regular expression leaves one way on after each character of whatever text.

Glushkov's automaton, whose states are the characters as written; an expression is one-unambiguous when no two ways from
a state share a character (Brueggemann-Klein and Wood 1998).
"""

from __future__ import annotations

from collections.abc import Iterator

from meshware.settings.regex import Ambiguous, Char, Either, Node, Repeat, Row

POSITIONS = 1000
"""Characters of an expression whose repetitions are written out."""

TOO_LARGE = f"more than {POSITIONS} characters, repetitions written out"


class _Part:
    """What a part of the automaton begins and ends with, by places, and whether it may be empty."""

    __slots__ = ("empty", "first", "last")

    def __init__(self, first: list[int], last: list[int], *, empty: bool) -> None:
        self.first = first
        self.last = last
        self.empty = empty


def unique(tree: Node) -> None:
    """Raises Ambiguous where a text that has matched so far could go on in more than one way."""
    places = _Places()
    whole = places.of(tree)
    for ways in (whole.first, *places.follow):
        seen = 0
        for place in ways:
            if seen & places.chars[place].chars:
                raise Ambiguous(f"{places.chars[place].written!r} is not the only way on for some character")
            seen |= places.chars[place].chars


class _Places:
    """Glushkov's automaton. A way that is there twice stays so: each is a choice of its own."""

    def __init__(self) -> None:
        self.chars: list[Char] = []
        self.follow: list[list[int]] = []
        self._visited = 0

    def of(self, node: Node) -> _Part:
        self._visited += 1
        if self._visited > 10 * POSITIONS:
            raise Ambiguous(TOO_LARGE)
        if isinstance(node, Char):
            return self._place(node)
        if isinstance(node, Row):
            return self._row(self.of(each) for each in node.parts)
        if isinstance(node, Either):
            parts = [self.of(each) for each in node.parts]
            first, last = [p for each in parts for p in each.first], [p for each in parts for p in each.last]
            return _Part(first, last, empty=any(each.empty for each in parts))
        return self._repeat(node)

    def _place(self, char: Char) -> _Part:
        if len(self.chars) >= POSITIONS:
            raise Ambiguous(TOO_LARGE)
        self.chars.append(char)
        self.follow.append([])
        place = [len(self.chars) - 1]
        return _Part(place, place, empty=False)

    def _row(self, parts: Iterator[_Part]) -> _Part:
        whole = _Part([], [], empty=True)
        for part in parts:
            self._lead(whole.last, part.first)
            first = whole.first + part.first if whole.empty else whole.first
            last = whole.last + part.last if part.empty else part.last
            whole = _Part(first, last, empty=whole.empty and part.empty)
        return whole

    def _lead(self, last: list[int], first: list[int]) -> None:
        for place in last:
            self.follow[place] += first

    def _repeat(self, node: Repeat) -> _Part:
        """As often as it must be there, then as often as it may: each within the one before."""
        if max(node.least, node.most or 0) > POSITIONS:
            raise Ambiguous(TOO_LARGE)
        needed = [node.part] * node.least
        if node.most is None:
            return self._row(iter([*(self.of(each) for each in needed), self._loop(node.part)]))
        return self._row(iter([*(self.of(each) for each in needed), self._optional(node.part, node.most - node.least)]))

    def _loop(self, node: Node) -> _Part:
        part = self.of(node)
        if part.empty:
            raise Ambiguous("what is repeated may be empty")
        self._lead(part.last, part.first)
        return _Part(part.first, part.last, empty=True)

    def _optional(self, node: Node, most: int) -> _Part:
        """From the last one on: what comes before it may be followed by it, or by what comes after all."""
        whole = _Part([], [], empty=True)
        for _ in range(most):
            part = self.of(node)
            self._lead(part.last, whole.first)
            last = part.last + whole.last
            whole = _Part(part.first + (whole.first if part.empty else []), last, empty=True)
        return whole
