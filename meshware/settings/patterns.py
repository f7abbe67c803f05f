"""Regular expressions whose time grows with the text and no faster, whoever chose the text.

Python's engine goes back over its choices, so it runs only what leaves it none: after each character there is one
way on (a one-unambiguous expression: Brueggemann-Klein and Wood 1998; XML Schema's rule of unique attribution).
What has several is run by RE2, where that is installed. So the extra adds patterns, and changes the meaning of none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from meshware.settings.ambiguity import unique
from meshware.settings.grammar import Refused
from meshware.settings.regex import Ambiguous, head_of, parse

LONGEST = 1000
"""Characters of a pattern."""

PROGRAM = 500
"""Instructions that RE2 may make of a pattern, about one a character."""

STEPS = 3_000_000
"""Instructions times characters that RE2 may go through for one text, 10 ns each at worst; longer ones do not match."""

MEMORY = 1 << 20
"""Bytes that RE2 may use for one pattern."""


class Pattern:
    """A regular expression that a whole text has to match. Equal to one of the same text; thread-safe.

    `head` is what every text that matches begins with, as far as that is known.
    """

    __slots__ = ("fullmatch", "head", "text")

    def __init__(self, text: str, fullmatch: Callable[[str], Any], *, head: str = "") -> None:
        self.text = text
        self.fullmatch = fullmatch
        self.head = head

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"<Pattern {self.text}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return pattern, (self.text,)


def pattern(value: Any) -> Pattern:
    """A pattern that can be matched in time that grows with the text; raises Refused for any other."""
    if isinstance(value, Pattern):
        return value
    text = _text(value)
    try:
        return _unique(text)
    except Ambiguous as error:
        return _by_re2(text, str(error))


def captures(value: Any) -> Pattern:
    """The same for a pattern whose groups are wanted: by Python's engine only."""
    if isinstance(value, Pattern):
        return value
    try:
        return _unique(_text(value))
    except Ambiguous as error:
        raise Refused(f"a regular expression with one way on after each character: {error}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise Refused(f"a regular expression of at most {LONGEST} characters")
    try:
        re.compile(value, re.ASCII)
    except (re.error, RecursionError, OverflowError, FutureWarning) as error:
        raise Refused(f"a regular expression ({error})") from None
    return value.removeprefix("^").removesuffix("$") if not value.endswith("\\$") else value.removeprefix("^")


def _unique(text: str) -> Pattern:
    tree = parse(text)
    unique(tree)
    return Pattern(text, re.compile(text, re.ASCII).fullmatch, head=head_of(tree))


def _by_re2(text: str, reason: str) -> Pattern:
    try:
        import re2  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError:
        raise Refused(
            f"a regular expression with one way on after each character: {reason}; "
            'pip install "meshware[re2]" takes others'
        ) from None
    options = re2.Options()
    options.max_mem, options.log_errors, options.never_capture = MEMORY, False, True
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        made = re2.compile(text.encode("latin-1"), options)
    except (re2.error, UnicodeEncodeError) as error:
        raise Refused(f"a regular expression that RE2 knows ({error})") from None
    if made.programsize > PROGRAM:
        raise Refused(f"a shorter regular expression: this one makes {made.programsize} instructions of {PROGRAM}")
    return Pattern(text, partial(_bounded, made.fullmatch, STEPS // made.programsize))


def _bounded(fullmatch: Callable[[bytes], Any], longest: int, text: str) -> Any:
    """What HTTP says is Latin-1: what is not, or is too long, is matched by nothing."""
    if len(text) > longest:
        return None
    try:
        return fullmatch(text.encode("latin-1"))
    except UnicodeEncodeError:
        return None
