"""What the bytes of a file say, in TOML, YAML or JSON. They are read by nobody until they are known to be small.

Each fault is one Unreadable with the file, the line and the key path as far as the parser knows them. A file that
was written by half may still be well-formed.
"""

from __future__ import annotations

import codecs
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from meshware.core.errors import MissingExtra, Problem
from meshware.files import limits
from meshware.files.contents import Unreadable
from meshware.files.location import Location, dotted
from meshware.files.yaml_text import NotYaml, read_several, read_yaml

_BOMS = {
    codecs.BOM_UTF8: "UTF-8 without a byte order mark",
    codecs.BOM_UTF32_LE: "UTF-8, not UTF-32",  # before UTF-16, whose mark its own begins with
    codecs.BOM_UTF32_BE: "UTF-8, not UTF-32",
    codecs.BOM_UTF16_LE: "UTF-8, not UTF-16",
    codecs.BOM_UTF16_BE: "UTF-8, not UTF-16",
}

_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+"""
_LONG_KEY = re.compile(rf"(?<![\w-])(?:{_PART}){{{limits.DEPTH}}}")
"""A dotted key of too many parts, on which tomllib would spend the square of their number."""

_LONG_NUMBER = re.compile(r"(?<![0-9_])[0-9_]{1000}|(?<!\w)0[box]\w{1000}")
"""A number of too many digits, on which tomllib would spend a hundred times its length in memory."""

_AT_LINE = re.compile(r"\(at line (\d+), column (\d+)\)")


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data, and the line of each of its values where the parser knows them (YAML)."""

    data: Any
    lines: Mapping[Location, int] = field(default_factory=dict)


def parse(name: str, data: bytes, kind: str, *, nodes: int = limits.NODES) -> Document:
    """What a file of this name and format says, in at most so many values. Raises Unreadable."""
    return _checked(name, _PARSERS[kind](name, _text(name, data), nodes), nodes)


def parse_several(name: str, data: bytes) -> Document:
    """The documents of a YAML file, in a list. Raises Unreadable."""
    return _checked(name, _yaml(name, _text(name, data), limits.NODES, read=read_several), limits.NODES)


def _checked(name: str, found: Document, nodes: int) -> Document:
    too_much = limits.excess(found.data, most=nodes)
    if too_much:
        raise Unreadable(Problem("", name, too_much))
    return found


def _text(name: str, data: bytes) -> str:
    for mark, needed in _BOMS.items():
        if data.startswith(mark):
            _refuse(name, 1, data[: len(mark)], needed)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(name, line, data[error.start : error.start + 1], "UTF-8")


def _toml(name: str, text: str, nodes: int) -> Document:
    import tomllib

    for pattern, expected in _TOO_LONG:
        if found := pattern.search(text):
            _refuse_line(name, text.count("\n", 0, found.start()) + 1, text, expected)
    try:
        return Document(tomllib.loads(text))
    except RecursionError:
        raise Unreadable(Problem("", name, limits.TOO_DEEP)) from None
    except ValueError as error:
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        _refuse_line(name, line, text, "TOML: " + _AT_LINE.sub(r"(column \2)", str(error)))


def _yaml(name: str, text: str, nodes: int, *, read: Callable[..., tuple[Any, Any]] = read_yaml) -> Document:
    try:
        return Document(*read(text, nodes=nodes))
    except MissingExtra as error:
        raise Unreadable(Problem("", name, str(error))) from error
    except NotYaml as error:
        if error.line is None:
            raise Unreadable(Problem("", name, error.expected)) from None
        _refuse_line(name, error.line, text, error.expected, path=dotted(error.location))


def _json(name: str, text: str, nodes: int) -> Document:
    try:
        return Document(json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant))
    except RecursionError:
        raise Unreadable(Problem("", name, limits.TOO_DEEP)) from None
    except json.JSONDecodeError as error:
        _refuse_line(name, error.lineno, text, f"JSON: {error.msg} (column {error.colno})")
    except ValueError as error:  # of ours below, or a number of too many digits
        raise Unreadable(Problem("", name, f"JSON: {error}")) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"each key once, but {twice[:80]!r} stands there twice")
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"a number, not {word}")


def _refuse_line(name: str, line: int, text: str, expected: str, *, path: str = "") -> NoReturn:
    lines = text.splitlines() or [""]
    line = min(line, len(lines))
    _refuse(name, line, lines[line - 1].strip(), expected, path=path)


def _refuse(name: str, line: int, value: object, expected: str, *, path: str = "") -> NoReturn:
    raise Unreadable(Problem(path, value, expected, where=f"{name}:{line}")) from None


_TOO_LONG = ((_LONG_KEY, limits.TOO_DEEP), (_LONG_NUMBER, "at most 1000 digits"))

_PARSERS: dict[str, Callable[[str, str, int], Document]] = {"toml": _toml, "yaml": _yaml, "json": _json}
