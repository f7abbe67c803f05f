"""The part of regular expressions that can be looked through, as a tree.

Characters, escapes, sets, groups, alternatives and repetitions. A set of characters is a number with a bit for each
of Latin-1 and one for all beyond.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

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
