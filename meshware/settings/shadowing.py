"""Routes that are never reached: an earlier one is for all of their calls. Where that is not sure, nothing is said."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from meshware.core.template import VARIABLE, compiled, head
from meshware.settings.sections.matching import MatchSettings, PathMatchSettings, TextMatchSettings


def shadowed(matches: Mapping[int, MatchSettings]) -> dict[int, int]:
    """The places of routes that are never reached, each with that of the first one that stands before it."""
    found: dict[int, int] = {}
    earlier: dict[str, _Earlier] = {}
    for place, match in matches.items():
        before = earlier.setdefault(match.service, _Earlier())
        first = next((other for other, each in before.of(match) if _covers(each, match)), None)
        if first is not None:
            found[place] = first
        elif _always(match):
            before.add(place, match)
    return found


class _Earlier:
    """The routes of one service so far that could stand before another, by what their paths begin with."""

    def __init__(self) -> None:
        self._by_head: dict[str, list[tuple[int, MatchSettings]]] = {}
        self._lengths: set[int] = set()

    def add(self, place: int, match: MatchSettings) -> None:
        head = _begins(match.path)
        self._by_head.setdefault(head, []).append((place, match))
        self._lengths.add(len(head))

    def of(self, match: MatchSettings) -> list[tuple[int, MatchSettings]]:
        """Those whose paths begin as this one's, or earlier in them: no other can be for all of its calls."""
        text = _begins(match.path)
        heads = [text[:length] for length in self._lengths if length <= len(text)]
        return sorted((each for head in heads for each in self._by_head.get(head, ())), key=itemgetter(0))


def _always(match: MatchSettings) -> bool:
    """Whether it is for the same calls at any time, by no chance and nobody's word."""
    by_the_call_alone = match.predicate is None and match.since is None and match.until is None
    return by_the_call_alone and match.percentage == 100.0


def _covers(earlier: MatchSettings, later: MatchSettings) -> bool:
    return (
        _path_covers(earlier.path, later.path)
        and (earlier.methods is None or (later.methods is not None and {*later.methods} <= {*earlier.methods}))
        and earlier.locality in (None, later.locality)
        and _texts_cover(earlier.headers, later.headers)
        and _texts_cover(earlier.query, later.query)
        and (earlier.identity is None or _text_covers(earlier.identity, later.identity))
    )


def _texts_cover(earlier: Mapping[str, TextMatchSettings], later: Mapping[str, TextMatchSettings]) -> bool:
    return all(_text_covers(each, later.get(name)) for name, each in earlier.items())


def _text_covers(earlier: TextMatchSettings, later: TextMatchSettings | None) -> bool:
    if earlier == later:
        return True
    asks = later is not None and not later.missing_as_empty and later.present is None
    return earlier.present is True and not earlier.invert and asks


def _path_covers(earlier: PathMatchSettings | None, later: PathMatchSettings | None) -> bool:
    if earlier is None or earlier == later:
        return True
    if later is None or earlier.ignore_case or later.ignore_case:
        return False
    if later.exact is not None:
        return _holds(earlier, later.exact)
    if earlier.prefix is not None:
        return _begins(later).startswith(earlier.prefix)
    if earlier.separated_prefix is not None:
        below = earlier.separated_prefix + "/"
        return later.separated_prefix == earlier.separated_prefix or _begins(later).startswith(below)
    return earlier.template is not None and later.template is not None and _alike(earlier.template, later.template)


def _holds(path: PathMatchSettings, text: str) -> bool:
    """Whether one path is what is asked for."""
    if path.exact is not None:
        return path.exact == text
    if path.prefix is not None:
        return text.startswith(path.prefix)
    if path.separated_prefix is not None:
        return text == path.separated_prefix or text.startswith(path.separated_prefix + "/")
    pattern: Any = path.regex if path.template is None else compiled(path.template)
    return pattern.fullmatch(text) is not None


def _begins(path: PathMatchSettings | None) -> str:
    """What all paths begin with that are asked for."""
    if path is None:
        return ""
    if path.template is not None:
        return head(path.template)
    if path.regex is not None:
        text: str = path.regex.head
        return text
    return path.prefix or path.separated_prefix or path.exact or ""


def _alike(one: str, other: str) -> bool:
    """Whether two templates differ by the names of their variables only."""
    return VARIABLE.sub(r"{\2}", one) == VARIABLE.sub(r"{\2}", other)
