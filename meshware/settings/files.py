"""Settings from a file, TOML or YAML by its suffix. What it holds is read by nobody until it is known to be small.

Each fault of a file is one SettingsError with the file, the line and the key path as far as the parser knows
them. A file that was written by half may still be well-formed: write another one, and rename it.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Callable
from pathlib import PurePath
from typing import NoReturn

from meshware.core.errors import MissingExtra, Problem, SettingsError
from meshware.settings import limits
from meshware.settings.origin import Source, dotted
from meshware.settings.yaml_text import NotYaml, read_yaml

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


def is_file(source: str) -> bool:
    """Whether a text names a file, by its suffix or a slash, not a module. `shop.yaml:MESHWARE` names a module."""
    return os.sep in source or PurePath(source).suffix.lower() in _READERS


def from_file(path: str | os.PathLike[str]) -> Source:
    """The settings in a file whose name ends in .toml, .yaml or .yml. Raises SettingsError."""
    name = os.fspath(path)
    reader = _READERS.get(PurePath(name).suffix.lower()) if isinstance(name, str) else None
    if reader is None:
        raise SettingsError([Problem("", name, f"a file whose name ends in {', '.join(_READERS)}")])
    return reader(name, _text(name))


def _text(name: str) -> str:
    data = _bytes(name)
    for mark, needed in _BOMS.items():
        if data.startswith(mark):
            _refuse(name, 1, data[: len(mark)], needed)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        _refuse(name, line, data[error.start : error.start + 1], "UTF-8")


def _bytes(name: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(name).st_mode):  # opening a pipe would wait for who writes to it
            raise SettingsError([Problem("", name, "a file, but that is none")])
        with open(name, "rb") as file:
            data = file.read(limits.SIZE + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingsError([Problem("", name, f"a file that can be read ({reason})")]) from error
    if len(data) > limits.SIZE:
        raise SettingsError([Problem("", name, f"a file of at most {limits.SIZE:,} bytes")])
    return data


def _toml(name: str, text: str) -> Source:
    import tomllib

    for pattern, expected in _TOO_LONG:
        if found := pattern.search(text):
            _refuse_line(name, text.count("\n", 0, found.start()) + 1, text, expected)
    try:
        settings = tomllib.loads(text)
    except RecursionError:
        raise SettingsError([Problem("", name, limits.TOO_DEEP)]) from None
    except ValueError as error:
        at = _AT_LINE.search(str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        _refuse_line(name, line, text, "TOML: " + _AT_LINE.sub(r"(column \2)", str(error)))
    too_much = limits.excess(settings)
    if too_much:
        raise SettingsError([Problem("", name, too_much)])
    return Source(settings, name)


def _yaml(name: str, text: str) -> Source:
    try:
        settings, lines = read_yaml(text)
    except MissingExtra as error:
        raise SettingsError([Problem("", name, str(error))]) from error
    except NotYaml as error:
        if error.line is None:
            raise SettingsError([Problem("", name, error.expected)]) from None
        _refuse_line(name, error.line, text, error.expected, path=dotted(error.location))
    too_much = limits.excess(settings)
    if too_much:
        raise SettingsError([Problem("", name, too_much)])
    return Source(settings, name, lines)


def _refuse_line(name: str, line: int, text: str, expected: str, *, path: str = "") -> NoReturn:
    lines = text.splitlines() or [""]
    line = min(line, len(lines))
    _refuse(name, line, lines[line - 1].strip(), expected, path=path)


def _refuse(name: str, line: int, value: object, expected: str, *, path: str = "") -> NoReturn:
    raise SettingsError([Problem(path, value, expected, where=f"{name}:{line}")]) from None


_TOO_LONG = ((_LONG_KEY, limits.TOO_DEEP), (_LONG_NUMBER, "at most 1000 digits"))

_READERS: dict[str, Callable[[str, str], Source]] = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml}
