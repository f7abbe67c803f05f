"""Conditions on one text: the value of a header or of a query parameter, or a name. Envoy's StringMatcher.

Of a header that is there several times each value is looked at by itself, as Envoy does it from 1.40 on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from typing import Any

INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
"""What a range looks at: nothing else is in any."""

Holds = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class TextOptions:
    """What a text has to be; one thing. `regex` has `fullmatch`, `range` ends before its second number."""

    exact: str | None = None
    prefix: str | None = None
    suffix: str | None = None
    contains: str | None = None
    regex: Any = None
    range: tuple[int, int] | None = None
    present: bool | None = None
    invert: bool = False
    missing_as_empty: bool = False

    def __str__(self) -> str:
        return said(self)


def said(options: Any) -> str:
    """What is wanted, in one line, as the settings have it."""
    found = {each.name: getattr(options, each.name) for each in fields(options)}
    return ", ".join(
        f"{name}: {getattr(value, 'text', value)}" for name, value in found.items() if value not in (None, False)
    )


class Text:
    """Whether the values of something hold what is wanted."""

    __slots__ = ("_absent", "_holds", "_invert", "exact")

    def __init__(self, options: TextOptions) -> None:
        self._holds = _holds(options)
        self._invert = options.invert
        self._absent = _absent(options, self._holds)
        self.exact = None if options.invert else options.exact

    def __call__(self, values: Iterable[str]) -> bool:
        """Whether any of the values is as wanted; inverted, whether there are some and none is."""
        there = False
        for value in values:
            if self._holds(value):
                return not self._invert
            there = True
        return self._invert if there else self._absent


def _absent(options: TextOptions, holds: Holds) -> bool:
    """What is said of something that is not there: an inverted condition does not hold either (Envoy)."""
    if options.present is not None:
        return options.present is options.invert
    return options.missing_as_empty and holds("") is not options.invert


def _holds(options: TextOptions) -> Holds:
    if options.present is not None:
        wanted = options.present
        return lambda value: wanted
    if options.exact is not None:
        return options.exact.__eq__
    if options.regex is not None:
        matches = options.regex.fullmatch
        return lambda value: matches(value) is not None
    if options.range is not None:
        low, high = options.range
        return lambda value: INTEGER.fullmatch(value) is not None and low <= int(value) < high
    return _part(options)


def _part(options: TextOptions) -> Holds:
    if options.prefix is not None:
        prefix = options.prefix
        return lambda value: value.startswith(prefix)
    if options.suffix is not None:
        suffix = options.suffix
        return lambda value: value.endswith(suffix)
    contains = options.contains or ""
    return lambda value: contains in value
