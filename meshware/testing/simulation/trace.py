"""A recorded trace as arrivals: CSV with a header. What it does not say is drawn from the scenario."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from itertools import accumulate
from math import nan
from random import Random

from meshware.core.errors import Problem
from meshware.settings.references import nearest
from meshware.testing.simulation.file import InputError
from meshware.testing.simulation.scenario import Operation, Scenario
from meshware.testing.simulation.workload import Arrival, place

COLUMNS = ("at", "work", "operation", "path", "client")
"""Those that a trace may have; `path` is another word for `operation`. An empty cell is drawn, as a missing one is."""

MOST = 20
"""Problems that are told at once."""

LONGEST = 1e6
"""Seconds that `at` and `work` may be."""

Row = dict[str, str]


def read_trace(path: str | os.PathLike[str], scenario: Scenario, seed: int) -> list[Arrival]:
    """The arrivals in a file. Raises InputError with the first 20 problems, each with its line and column.

    `at` is needed: seconds from the start, ascending. `work` is in seconds at speed 1, `operation` (or `path`) one of
    the scenario's, `client` a number from 0.
    """
    name = os.fspath(path)
    reader = _Reader(name, scenario, Random(seed))
    try:
        with open(name, newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
            arrivals = reader.read(file)
    except OSError as error:
        raise InputError(name, [Problem("", name, f"a file that can be read ({error.strerror})")]) from error
    if reader.problems:
        raise InputError(name, reader.problems)
    return arrivals


class _Reader:
    """One pass over a file."""

    def __init__(self, name: str, scenario: Scenario, rng: Random) -> None:
        self.problems: list[Problem] = []
        self._name, self._begin, self._rng = name, scenario.begin, rng
        self._callers = list(accumulate(each.share for each in scenario.callers()))
        self._any = _Mix(scenario.operations)
        self._named = {
            path: _Mix(each for each in scenario.operations if each.path == path) for path in self._any.paths()
        }
        self._line, self._last = 1, 0.0

    def read(self, lines: Iterable[str]) -> list[Arrival]:
        """Its arrivals; of no use when there are problems."""
        arrivals = []
        try:
            for row in self._rows(self._utf8(lines)):
                arrivals.append(self._arrival(row))
                if len(self.problems) >= MOST:
                    return arrivals
        except csv.Error as error:
            self._refuse("", None, f"CSV ({error})")
        except UnicodeEncodeError as error:
            wrong = error.object[error.start : error.end].encode(errors="surrogateescape")
            self._refuse("", wrong, "a row that can be read (not UTF-8)")
        if not self.problems and (not arrivals or self._last < self._begin):
            self._refuse("at", self._last, f"requests after begin, {self._begin:g} s: earlier ones do not count")
        return arrivals

    def _utf8(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines. Raises UnicodeEncodeError at the first with a surrogate, which stands for what is not UTF-8."""
        for number, line in enumerate(lines, start=1):
            try:
                line.encode()
            except UnicodeEncodeError:
                self._line = number
                raise
            yield line

    def _rows(self, lines: Iterable[str]) -> Iterator[Row]:
        rows = csv.reader(lines, strict=True)
        header = [each.strip() for each in next(rows, [])]
        self._columns(header)
        for cells in rows:
            self._line = rows.line_num
            if self.problems and self.problems[0].where == f"{self._name}:1":  # nothing can be read under such names
                return
            if cells and len(cells) != len(header):
                self._refuse("", cells, f"{len(header)} cells, as the header has")
            elif cells:
                yield dict(zip(header, map(str.strip, cells), strict=True))

    def _columns(self, header: list[str]) -> None:
        for column in dict.fromkeys(header):
            if column not in COLUMNS:
                self._refuse(column, column, f"a column named {', '.join(COLUMNS)}", nearest(column, COLUMNS))
            elif header.count(column) > 1:
                self._refuse(column, column, "each column once")
        if "at" not in header:
            self._refuse("at", None, "missing, but needed: seconds from the start")
        if "operation" in header and "path" in header:
            self._refuse("path", "path", "`operation` or `path`, which are the same, not both")

    def _arrival(self, row: Row) -> Arrival:
        """As many numbers are drawn as if nothing were given: one column less changes no other."""
        rng = self._rng
        client, mix, uniform, normal = (
            place(self._callers, rng.random()),
            rng.random(),
            rng.random(),
            rng.gauss(0.0, 1.0),
        )
        operation = self._operation(row).drawn(mix)
        if row.get("client"):
            client = self._client(row["client"])
        work = operation.draw(uniform, normal)
        if row.get("work"):
            work = self._seconds("work", row["work"])
        return Arrival(self._at(row["at"]), client, operation.path, work, rng.random(), work)

    def _at(self, text: str) -> float:
        at, last = self._seconds("at", text), self._last
        if at < last:
            self._refuse("at", text, f"ascending: the row before has {last:g}")
        self._last = at
        return at

    def _seconds(self, column: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = nan
        if 0 <= value <= LONGEST:
            return value
        self._refuse(column, text, f"seconds from 0 to {LONGEST:,.0f}")
        return 0.0 if column == "work" else self._last

    def _client(self, text: str) -> int:
        most = len(self._callers) - 1
        if text.isascii() and text.isdecimal() and len(text) <= 6 and int(text) <= most:
            return int(text)
        self._refuse("client", text, f"a number from 0 to {most}")
        return 0

    def _operation(self, row: Row) -> _Mix:
        column = "operation" if "operation" in row else "path"
        path = row.get(column)
        if not path:
            return self._any
        if path not in self._named:
            self._refuse(column, path, f"one of the scenario's: {', '.join(self._named)}", nearest(path, self._named))
        return self._named.get(path, self._any)

    def _refuse(self, column: str, value: object, expected: str, nearest: str | None = None) -> None:
        self.problems.append(Problem(column or "(row)", value, expected, nearest, where=f"{self._name}:{self._line}"))


class _Mix:
    """Operations, each as often as its share says."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = tuple(operations)
        self._sums = list(accumulate(each.share for each in self._operations))

    def paths(self) -> list[str]:
        """Of them all, each once."""
        return list(dict.fromkeys(each.path for each in self._operations))

    def drawn(self, uniform: float) -> Operation:
        """One of them, from a uniform random number."""
        return self._operations[place(self._sums, uniform)]
