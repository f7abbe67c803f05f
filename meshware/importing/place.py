"""Values of a document with the place where they stand, so that whatever is said of one says where it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from meshware.core.errors import Problem
from meshware.files.location import Location, dotted, spelled
from meshware.importing.fields import ROWS, Field
from meshware.settings.references import nearest

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SPAN = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ns|us|ms|s|m|h))+")
_PART = re.compile(r"([0-9.]+)(ns|us|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Left:
    """A field that was not taken over: where it stands, in which document, and why."""

    where: str
    document: str
    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.document}: {self.path}: {self.why}"


@dataclass(slots=True)
class Report:
    """What could not be taken over, and what is wrong with the documents themselves."""

    left: list[Left] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file."""

    file: str
    at: Location
    lines: Mapping[Location, int]
    kind: str
    name: str
    namespace: str
    report: Report

    def where(self, path: Location) -> str:
        """`mesh.yaml:7`: the nearest line that is known."""
        place = spelled((*self.at, *path))
        known = (self.lines[place[:length]] for length in range(len(place), 0, -1) if place[:length] in self.lines)
        return f"{self.file}:{next(known, 1)}"

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Place:
    """A value, and the way to it; of what is not there the value is None."""

    __slots__ = ("document", "path", "value")

    def __init__(self, document: Document, path: Location, value: Any) -> None:
        self.document, self.path, self.value = document, path, value

    def __bool__(self) -> bool:
        return self.value is not None

    def __getitem__(self, key: str) -> Place:
        """What stands under a key, or under `a.b` deeper."""
        found = self
        for each in key.split("."):
            section = found._of(dict, "a section")
            found = Place(self.document, (*found.path, each), None if section is None else section.get(each))
        return found

    def __iter__(self) -> Iterator[Place]:
        """Each of a list."""
        for number, each in enumerate(self._of(list, "a list") or ()):
            yield Place(self.document, (*self.path, number), each)

    def items(self) -> Iterator[tuple[str, Place]]:
        """Each of a section."""
        for key, each in (self._of(dict, "a section") or {}).items():
            yield str(key), Place(self.document, (*self.path, str(key)), each)

    def text(self, otherwise: str = "") -> str:
        """A text."""
        found: str | None = self._of(str, "text")
        return otherwise if found is None else found

    def one_of(self, otherwise: str, *others: str) -> str:
        """One of these words; the first where nothing is said."""
        said = self.text(otherwise)
        if said not in (otherwise, *others):
            self.refuse(f"one of {', '.join((otherwise, *others))}")
        return said

    def number(self) -> float | None:
        """A number."""
        found: float | None = self._of((int, float), "a number")
        return found

    def whole(self, otherwise: int = 0) -> int:
        """A whole number."""
        found: int | None = self._of(int, "a whole number")
        return otherwise if found is None else found

    def port(self) -> int:
        """A port; 0 where nothing is said."""
        said = self.whole()
        if self and not 0 < said < 65_536:
            self.refuse("a port from 1 to 65535")
        return said

    def seconds(self) -> float | None:
        """A span of time, `1.5s` or `1h30m`."""
        said = self.text()
        if not said:
            return None
        if not _SPAN.fullmatch(said):
            self.refuse("a time such as 1.5s or 1h30m")
            return None
        return round(sum(float(number) * UNITS[unit] for number, unit in _PART.findall(said)), 9)

    def _of(self, kind: Any, expected: str) -> Any:
        if self.value is None:
            return None
        if not isinstance(self.value, kind) or isinstance(self.value, bool):
            self.refuse(expected)
            return None
        return self.value

    def refuse(self, expected: str) -> None:
        """The document itself is wrong."""
        document = self.document
        problem = Problem(f"{document}: {dotted(self.path)}", self.value, expected, where=document.where(self.path))
        if problem not in document.report.problems:
            document.report.problems.append(problem)

    def left(self, why: str) -> None:
        """It is not taken over."""
        document = self.document
        left = Left(document.where(self.path), str(document), dotted(self.path), why)
        if left not in document.report.left:
            document.report.left.append(left)


def tell_unknown(spec: Place) -> None:
    """Leave all fields that become nothing, each with its reason."""
    _walk(spec, "", ROWS[spec.document.kind])


def _walk(place: Place, pattern: str, rows: Mapping[str, Field], why: str = "") -> None:
    """`why`: the reason of the row above, which speaks for what has no row of its own."""
    row = rows.get(pattern)
    if row is not None and row.to:
        return
    why = why if row is None else row.why
    below = f"{pattern}." if pattern else ""
    if isinstance(place.value, dict) and _any(rows, below):
        for key, each in place.items():
            path = next((path for path in (f"{below}{key}", f"{below}*") if path in rows or _deeper(rows, path)), None)
            if path is None:
                each.left(why or _unknown(key, below, rows))
            else:
                _walk(each, path, rows, why)
    elif isinstance(place.value, list) and _any(rows, f"{pattern}[]"):
        for each in place:
            _walk(each, f"{pattern}[]", rows, why)
    elif row is not None:
        place.left(why)


def _any(rows: Mapping[str, Field], beginning: str) -> bool:
    return any(each.startswith(beginning) for each in rows)


def _deeper(rows: Mapping[str, Field], pattern: str) -> bool:
    return _any(rows, f"{pattern}.") or _any(rows, f"{pattern}[]")


def _unknown(key: str, below: str, rows: Mapping[str, Field]) -> str:
    known = {re.split(r"[.\[]", each[len(below) :])[0] for each in rows if each.startswith(below)}
    close = nearest(key, known)
    return "no field that is known here" + (f"; is {close} meant?" if close else "")
