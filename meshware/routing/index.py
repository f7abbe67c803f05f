"""Index: of many routes those that may be for a request, in their order, by what its path is or begins with, and by
exact headers. A route that no key finds is looked at each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.routing import values

if TYPE_CHECKING:
    from meshware.core.request import Request
    from meshware.routing.match import Match

FEW = 8
"""So few routes are gone through one by one; and so many must have a header in common for a key of their own."""

LENGTHS = 24
"""Different lengths of the beginnings of paths that are looked up."""


class Entry(NamedTuple):
    """A route at its place in the order."""

    place: int
    match: Match
    route: Any


Rows = Sequence[Entry]


class Index:
    """The routes of one service. Immutable, so thread-safe."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._exact: dict[str, Rows] = {}
        self._heads: tuple[tuple[int, dict[str, Rows]], ...] = ()
        self._headers: tuple[tuple[str, dict[str, Rows]], ...] = ()
        self._rest: Rows = tuple(entries)
        if len(entries) > FEW:
            self._sort(entries)

    def _sort(self, entries: Sequence[Entry]) -> None:
        paths = [each for each in entries if each.match.path is not None]
        exact = {each: each.match.path.exact for each in paths if each.match.path and each.match.path.exact is not None}
        lengths = _lengths(len(each.match.path.head) for each in paths if each.match.path and each not in exact)
        headed: dict[int, dict[Entry, str]] = {length: {} for length in lengths}
        named: dict[str, dict[Entry, str]] = {}
        common = Counter(name for each in entries for name in each.match.exact_headers)
        rest = []
        for each in entries:
            head = "" if each.match.path is None else each.match.path.head
            length = next((length for length in lengths if length <= len(head)), None)
            name = next((name for name in each.match.exact_headers if common[name] >= FEW), None)
            if each in exact:
                continue
            if length is not None:
                headed[length][each] = head[:length]
            elif name is not None:
                named.setdefault(name, {})[each] = each.match.exact_headers[name]
            else:
                rest.append(each)
        self._exact = _rows(exact)
        self._heads = tuple((length, _rows(found)) for length, found in headed.items() if found)
        self._headers = tuple((name, _rows(found)) for name, found in named.items())
        self._rest = tuple(rest)

    def candidates(self, request: Request) -> Iterable[Entry]:
        """Routes that may be for it, in their order; none that is for it is left out."""
        path = request.path
        found = [self._rest] if self._rest else []
        if path in self._exact:
            found.append(self._exact[path])
        for length, rows in self._heads:
            head = path[:length]
            if head in rows:
                found.append(rows[head])
        for name, rows in self._headers:
            found += (rows[value] for value in dict.fromkeys(values.header(request, name)) if value in rows)
        if len(found) < 2:
            return found[0] if found else ()
        return merge(*found)


def _lengths(heads: Iterable[int]) -> list[int]:
    """The lengths by which beginnings are looked up, the longest first: those that most have, and the least of all."""
    counted = Counter(length for length in heads if length > 1)
    if len(counted) > LENGTHS:
        kept = {length for length, _ in counted.most_common(LENGTHS - 1)} | {min(counted)}
        return sorted(kept, reverse=True)
    return sorted(counted, reverse=True)


def _rows(found: dict[Entry, str]) -> dict[str, Rows]:
    rows: dict[str, list[Entry]] = {}
    for entry, key in found.items():
        rows.setdefault(key, []).append(entry)
    return {key: tuple(each) for key, each in rows.items()}
