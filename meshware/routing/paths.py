"""What a path has to be, and what becomes of it. Paths are as they were sent: nothing is decoded or made shorter.

Each kind knows its `head`, the text that every path it matches begins with, by which an index finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from meshware.core.template import VARIABLE, compiled, head
from meshware.routing.texts import said


@dataclass(frozen=True, slots=True)
class PathOptions:
    """What a path has to be; one thing, or nothing. `regex` has `fullmatch` and `head`."""

    exact: str | None = None
    prefix: str | None = None
    separated_prefix: str | None = None
    template: str | None = None
    regex: Any = None
    ignore_case: bool = False

    def __str__(self) -> str:
        return said(self)


class Path:
    """Whether a path is as wanted. Immutable.

    `exact`: the one path that is; `head`: what all of them begin with. Neither helps where case does not matter.
    """

    __slots__ = ("exact", "head", "holds")

    def __init__(self, options: PathOptions) -> None:
        self.exact: str | None = None
        self.head = ""
        if options.ignore_case:
            self.holds = _any_case(options)
            return
        self.exact = options.exact
        self.head = options.exact or options.prefix or options.separated_prefix or _head(options)
        self.holds = _holds(options)


def _head(options: PathOptions) -> str:
    if options.template is not None:
        return head(options.template)
    return options.regex.head if options.regex is not None else ""


def _any_case(options: PathOptions) -> Callable[[str], bool]:
    """Of an exact path or a prefix only."""
    lower = PathOptions(
        exact=_lower(options.exact), prefix=_lower(options.prefix), separated_prefix=_lower(options.separated_prefix)
    )
    holds = _holds(lower)
    return lambda path: holds(path.lower())


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _holds(options: PathOptions) -> Callable[[str], bool]:
    if options.exact is not None:
        return options.exact.__eq__
    if options.separated_prefix is not None:
        whole, below = options.separated_prefix, options.separated_prefix + "/"
        return lambda path: path == whole or path.startswith(below)
    if options.prefix is not None:
        prefix = options.prefix
        return lambda path: path.startswith(prefix)
    matches = compiled(options.template).fullmatch if options.template is not None else options.regex.fullmatch
    return lambda path: matches(path) is not None


# What becomes of it

Rewrite = Callable[[str], str]


def by_prefix(matched: str, instead: str) -> Rewrite:
    """Another beginning in the place of the one that was matched; where both sides have a slash, one is left."""

    def rewrite(path: str) -> str:
        rest = path[len(matched) :]
        return instead + (rest[1:] if instead.endswith("/") and rest.startswith("/") else rest)

    return rewrite


def by_template(matched: str | None, instead: str) -> Rewrite:
    """Another path, with what the variables of the matched one stand for."""
    if matched is None or VARIABLE.search(instead) is None:
        return lambda path: instead
    pattern = compiled(matched)
    pieces = VARIABLE.sub(r"{\1}", instead)

    def rewrite(path: str) -> str:
        found = pattern.fullmatch(path)
        return path if found is None else pieces.format_map(found.groupdict())

    return rewrite


def by_regex(pattern: Any, instead: str) -> Rewrite:
    """Another path with the groups of a pattern, `\\1` or `\\g<name>`; one that does not match it stays."""

    def rewrite(path: str) -> str:
        found = pattern.fullmatch(path)
        return path if found is None else found.expand(instead)

    return rewrite
