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

Facet = int | str
"""What routes are told apart by: so many characters that paths begin with, WHOLE paths, or a header's name."""

WHOLE = 0


class Index:
    """The routes of one service. Immutable, so thread-safe."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        rows: dict[Facet, dict[str, list[Entry]]] = {}
        rest, keyed = [], _Keys(entries)
        for each in entries:
            key = None if len(entries) <= FEW else keyed.of(each.match)
            if key is None:
                rest.append(each)
            else:
                rows.setdefault(key[0], {}).setdefault(key[1], []).append(each)
        self._rest: Rows = rest
        self._exact = rows.pop(WHOLE, {})
        self._heads = [(facet, found) for facet, found in rows.items() if isinstance(facet, int)]
        self._headers = [(facet, found) for facet, found in rows.items() if isinstance(facet, str)]

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


class _Keys:
    """By what each of these routes is looked up."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._lengths = _lengths(len(_head(each.match)) for each in entries)
        self._common = Counter(name for each in entries for name in each.match.exact_headers)

    def of(self, match: Match) -> tuple[Facet, str] | None:
        """Of all that it wants, what tells it best from others; None: nothing does."""
        if match.path is not None and match.path.exact is not None:
            return WHOLE, match.path.exact
        head = _head(match)
        for length in self._lengths:
            if length <= len(head):
                return length, head[:length]
        for name, value in match.exact_headers.items():
            if self._common[name] >= FEW:
                return name, value
        return None


def _head(match: Match) -> str:
    return "" if match.path is None else match.path.head


def _lengths(heads: Iterable[int]) -> list[int]:
    """The lengths by which beginnings are looked up, the longest first: those that most have, and the least of all."""
    counted = Counter(length for length in heads if length > 1)
    most = {length for length, _ in counted.most_common(LENGTHS)}
    return sorted(most | {min(counted, default=0)} - {0}, reverse=True)
