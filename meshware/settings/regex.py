"""The part of regular expressions that can be looked through: a parser, and whether there is one way on everywhere.

Characters, escapes, sets, groups, alternatives and repetitions. A set of characters is a number with a bit for each
of Latin-1 and one for all beyond. The automaton is Glushkov's, whose states are the characters as written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

POSITIONS = 1000
"""Characters of an expression whose repetitions are written out."""

TOO_LARGE = f"more than {POSITIONS} characters, repetitions written out"

DEPTH = 32

ALL = (1 << 257) - 1
BEYOND = 1 << 256
NEWLINE = 1 << ord("\n")


class Ambiguous(ValueError):
    """More than one way on, or something that is not looked through."""


@dataclass(frozen=True, slots=True)
class Char:
    """One character of a set, as it is written."""

    chars: int
    written: str


@dataclass(frozen=True, slots=True)
class Row:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of them."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """So often at least and at most; None: any number of times."""

    part: Node
    least: int
    most: int | None


Node = Char | Row | Either | Repeat


def parse(text: str) -> Node:
    """The tree of an expression that `re` takes. Raises Ambiguous for what this parser does not know."""
    parser = _Parser(text)
    tree = parser.either(0)
    if parser.at < len(text):
        parser.unknown()
    return tree


def head_of(tree: Node) -> str:
    """The characters that every match begins with."""
    head = ""
    for part in tree.parts if isinstance(tree, Row) else (tree,):
        if not isinstance(part, Char) or part.chars.bit_count() != 1 or part.chars == BEYOND:
            break
        head += chr(part.chars.bit_length() - 1)
    return head


# The parser


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def unknown(self) -> NoReturn:
        raise Ambiguous(f"{self.text[self.at : self.at + 8]!r} cannot be looked through")

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def either(self, depth: int) -> Node:
        if depth > DEPTH:
            raise Ambiguous(f"more than {DEPTH} groups within each other")
        parts = [self._row(depth)]
        while self._next() == "|":
            self.at += 1
            parts.append(self._row(depth))
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _row(self, depth: int) -> Node:
        parts = []
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._atom(depth)))
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def _atom(self, depth: int) -> Node:
        if self._next() == "(":
            return self._group(depth)
        began = self.at
        chars = self._chars()
        return Char(chars, self.text[began : self.at])

    def _group(self, depth: int) -> Node:
        opened = _GROUP.match(self.text, self.at)
        if opened is None:
            self.unknown()
        self.at = opened.end()
        inner = self.either(depth + 1)
        self.at += 1
        return inner

    def _repeated(self, atom: Node) -> Node:
        found = _REPEAT.match(self.text, self.at)
        if found is None:
            return atom
        self.at = found.end()
        if self._next() == "+":
            self.unknown()
        least, most = _bounds(found)
        return Repeat(atom, least, most)

    def _chars(self) -> int:
        first = self._next()
        self.at += 1
        if first == ".":
            return ALL & ~NEWLINE
        if first == "[":
            return self._set()
        if first == "\\":
            return self._escaped()
        if first in "^$":
            self.at -= 1
            self.unknown()
        return _bit(first)

    def _escaped(self) -> int:
        kind = self._next()
        self.at += 1
        if kind in _CLASSES:
            return _CLASSES[kind]
        if kind in _SIGNS:
            return _bit(_SIGNS[kind])
        if kind == "x":
            self.at += 2
            return _bit(chr(int(self.text[self.at - 2 : self.at], 16)))
        if kind.isalnum():
            self.at -= 2
            self.unknown()
        return _bit(kind)

    def _set(self) -> int:
        none, chars = self._next() == "^", 0
        self.at += none
        first = True
        while self._next() != "]" or first:
            first = False
            low = self._one()
            if self._next() == "-" and self.text[self.at + 1 : self.at + 2] != "]":
                self.at += 1
                low = _between(low, self._one())
            chars |= low
        self.at += 1
        return ALL & ~chars if none else chars

    def _one(self) -> int:
        char = self._next()
        self.at += 1
        return self._escaped() if char == "\\" else _bit(char)


_GROUP = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_REPEAT = re.compile(r"(?:([*+?])|\{(\d*)(,?)(\d*)\})\??")


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    sign, low, comma, high = found.groups()
    if sign is not None:
        return {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
    if not low and not high:  # `{}` and `{,}` stand for themselves
        raise Ambiguous(f"{found[0]!r} cannot be looked through")
    least = int(low or 0)
    return least, (least if not comma else int(high) if high else None)


def _bit(char: str) -> int:
    return 1 << min(ord(char), 256)


def _between(low: int, high: int) -> int:
    """All characters from one to another, of which each is one bit."""
    return ((high << 1) - 1) & ~(low - 1)


def _some(test: Callable[[str], object]) -> int:
    return sum(1 << code for code in range(256) if test(chr(code)))


_DIGITS = _some(re.compile(r"\d", re.ASCII).match)
_WORDS = _some(re.compile(r"\w", re.ASCII).match)
_SPACES = _some(re.compile(r"\s", re.ASCII).match)
_CLASSES = {
    "d": _DIGITS, "D": ALL & ~_DIGITS, "w": _WORDS, "W": ALL & ~_WORDS, "s": _SPACES, "S": ALL & ~_SPACES,
}  # fmt: skip
_SIGNS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f", "v": "\v"}


# One way on


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
