"""What a discovery has answered, looked at entry by entry: an entry that is no endpoint is left out, the rest kept."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from itertools import islice
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.core.policy import Endpoints

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint

SHORTEST, LONGEST = 1.0, 86_400.0
"""Seconds between two fetches, whatever `valid_for` says; for one that is cheap to ask it may be less."""

MOST = 100_000
"""Entries of one answer that are looked at."""


class Answer(NamedTuple):
    """What was found and can be used; `refused` says of each other entry why not."""

    endpoints: tuple[Endpoint, ...]
    valid_for: float
    refused: tuple[str, ...]


class Reader:
    """Makes endpoints of a source's answers. For one answer at a time, on whichever thread.

    `read` makes an Endpoint of one entry, or raises ValueError; `in_slices` goes through many and lets others run.
    `shortest`: seconds for which an answer is valid at least.
    """

    def __init__(
        self,
        read: Callable[[Any], Endpoint],
        in_slices: Callable[[tuple[Any, ...]], Iterable[Any]],
        *,
        shortest: float = SHORTEST,
    ) -> None:
        self._read = read
        self._shortest = shortest
        self._in_slices = in_slices
        self._before: dict[Hashable, Endpoint] = {}  # entries of the last answer, and what they were read as
        self._last: tuple[Endpoints, Answer] | None = None

    def look(self, found: Any) -> Answer:
        """An answer of which nothing may change under our hands. Raises TypeError for what is none at all.

        An entry that stood in the last answer is the same endpoint, not read again; so is all of the very same answer.
        """
        if self._last is not None and found is self._last[0]:
            return self._last[1]
        if not isinstance(found, Endpoints):
            raise TypeError(f"{found!r:.80} is no `meshware.discovery.Endpoints`")
        if isinstance(found.found, str):
            raise TypeError("`found` is a list of endpoints, not a text")
        answer = self._answer(found)
        self._last = (found, answer) if type(found.found) is tuple else None  # a list may be another one tomorrow
        return answer

    def _answer(self, found: Endpoints) -> Answer:
        endpoints: dict[str, Endpoint] = {}
        known, read = self._before, {}
        refused = []
        for entry in self._in_slices(tuple(islice(found.found, MOST))):
            written = entry if type(entry) is str else _written(entry)
            endpoint = known.get(written)
            if endpoint is None:
                try:
                    endpoint = self._read(entry)
                except ValueError as error:
                    refused.append(f"{entry!r:.80}: {error}")
                    continue
            if written is not None:
                read[written] = endpoint
            if endpoint.address in endpoints:
                refused.append(f"{endpoint.address}: named twice")
            else:
                endpoints[endpoint.address] = endpoint
        self._before = read
        return Answer(tuple(endpoints.values()), seconds(found.valid_for, self._shortest), tuple(refused))


def seconds(valid_for: Any, shortest: float = SHORTEST) -> float:
    """For how long an answer is taken as valid. Raises TypeError for what is no number."""
    if isinstance(valid_for, bool) or not isinstance(valid_for, int | float) or not isfinite(valid_for):
        raise TypeError(f"`valid_for` is a number of seconds, not {valid_for!r:.80}")
    return min(LONGEST, max(shortest, float(valid_for)))


def _written(entry: Any) -> Hashable | None:
    """An entry that is no text, as a key; None for one that may change under our hands, as metadata may."""
    if type(entry) is not dict:
        return None
    key = tuple(entry.items())
    try:
        hash(key)
    except TypeError:
        return None
    return key
