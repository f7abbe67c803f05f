"""Settings from a file, TOML or YAML by its suffix (see meshware/files/).

A file that was written by half may still be well-formed: write another one, and rename it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import PurePath

from meshware.core.errors import Problem, SettingsError
from meshware.files.contents import Unreadable, contents
from meshware.files.formats import SUFFIXES
from meshware.settings.origin import Source

_FORMATS = {suffix: kind for suffix, kind in SUFFIXES.items() if kind != "json"}


def is_file(source: object) -> bool:
    """Whether a source names a file: a path, or a text with such a suffix or a slash. `shop.yaml:MESHWARE` does not."""
    if isinstance(source, os.PathLike):
        return True
    return isinstance(source, str) and (os.sep in source or PurePath(source).suffix.lower() in _FORMATS)


def from_file(path: str | os.PathLike[str], *, contents: Callable[[str], bytes] = contents) -> Source:
    """The settings in a file whose name ends in .toml, .yaml or .yml. Raises SettingsError.

    `contents` reads it, or raises Unreadable.
    """
    from meshware.files.document import parse

    name = os.fspath(path)
    kind = _format(name)
    try:
        found = parse(name, contents(name), kind)
    except Unreadable as error:
        raise SettingsError([error.problem]) from error
    return Source(found.data, name, found.lines)


def _format(name: str) -> str:
    suffix = PurePath(name).suffix.lower() if isinstance(name, str) else ""
    if suffix not in _FORMATS:
        raise SettingsError([Problem("", name, f"a file whose name ends in {', '.join(_FORMATS)}")])
    return _FORMATS[suffix]
