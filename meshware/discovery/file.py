"""Endpoints from a file that somebody else keeps: TOML, YAML or JSON, followed as it changes.

It is asked twice a second, which costs one `stat` while the file is as it was. A file that is gone, half-written
or no list of endpoints is a failure: the last good set stays, and the next look is as soon as ever.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

from meshware.core.errors import MissingExtra
from meshware.core.policy import Endpoints
from meshware.discovery.answer import LONGEST
from meshware.discovery.source import CHEAP
from meshware.files.document import parse
from meshware.files.formats import FORMATS, format_of
from meshware.files.watched import Watched

SIZE, NODES = 16_777_216, 1_000_000
"""Bytes and values of a file: room for 100,000 endpoints."""


class File:
    """`"discovery": {"file": {"path": "/etc/mesh/inventory.json"}}`: a list of endpoints, as settings would hold it.

    `key`: where the list stands in a file that is no list, a dotted path. `format`: `toml`, `yaml` or `json`, where the
    file's name does not end so. `every`: seconds between two looks, 0.1 at least.
    """

    def __init__(self, *, path: str, key: str = "endpoints", format: str | None = None, every: float = 0.5) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise ValueError(f"path must be a file's, not {path!r}")
        if not isinstance(key, str) or not all(key.split(".")):
            raise ValueError(f"key must be a dotted path, not {key!r}")
        self._path, self._key = os.path.abspath(path), key
        self._format = _format(self._path, format)
        self._every = self.longest_wait = _seconds(every)
        self._watched = Watched(self._path, size=SIZE)
        self._answer: Endpoints | None = None
        self._wrong: Exception | None = None

    def fetch(self, now: float) -> Endpoints:
        """All endpoints that it names; the same answer, while it says the same. Raises ValueError."""
        data = self._watched.look()
        if data is not None:
            self._read(data)
        if self._wrong is not None:
            raise self._wrong
        if self._answer is None:
            raise ValueError(f"{self._path}: it is just being written")
        return self._answer

    def _read(self, data: bytes) -> None:
        self._wrong = None
        try:
            found = parse(self._path, data, self._format, nodes=NODES).data
            self._answer = Endpoints(tuple(self._listed(found)), self._every)
        except ValueError as error:
            self._wrong = error

    def _listed(self, found: Any) -> list[Any]:
        for key in () if isinstance(found, list) else self._key.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if not isinstance(found, list):
            raise ValueError(f"{self._path}: a list of endpoints is needed, or one under {self._key!r}")
        return found


def _format(path: str, chosen: str | None) -> str:
    found = format_of(path) if chosen is None else chosen
    if found not in FORMATS:
        where = "the end of the file's name, or `format`," if chosen is None else "format"
        raise ValueError(f"{where} must be one of {', '.join(FORMATS)}, not {chosen or os.path.basename(path)!r}")
    if found == "yaml" and find_spec("yaml") is None:
        raise MissingExtra("PyYAML", "yaml")
    return found


def _seconds(every: Any) -> float:
    if isinstance(every, bool) or not isinstance(every, int | float) or not CHEAP <= every <= LONGEST:
        raise ValueError(f"every must be seconds from {CHEAP:g} to {LONGEST:,.0f}, not {every!r}")
    return float(every)
