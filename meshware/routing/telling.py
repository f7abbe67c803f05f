"""Telling: which routes are looked at for a call, what speaks against each, and how a split is drawn.

It goes through all routes in their order, where `Routes.find` goes through those that an index finds: the same one is
found, by the same draws, since what an index leaves out is not for the call for what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from meshware.core.telling import Tape
from meshware.routing.match import CHANCE, Condition

if TYPE_CHECKING:
    from meshware.core.policy import Rng
    from meshware.core.request import Request
    from meshware.core.service import Service
    from meshware.routing.router import Route, Routes
    from meshware.routing.split import Split

T = TypeVar("T")

SECRET = frozenset({"header authorization", "header proxy-authorization", "header cookie"})
"""Of these it is told only that there is something."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A route that was looked at: whose, and what spoke against it; `unmet` None: it was for the call."""

    service: str
    route: str
    unmet: str | None = None
    wanted: str | None = None
    seen: str | None = None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A split: what each service is to have, and where the call stood from 0 to 1; by its `key`, or by lot."""

    shares: dict[str, float]
    place: float
    key: str | None
    service: str


class Telling:
    """Of one call, by this chance. If it is `imagined` nobody else hears what a predicate throws."""

    def __init__(self, rng: Rng, *, imagined: bool) -> None:
        self.imagined = imagined
        self._tape = Tape(rng)
        self._raised: Exception | None = None
        self.looked: list[Looked] = []
        self.drawn: Drawn | None = None

    def find(self, routes: Routes, service: Service, request: Request, context: Any, now: float) -> Route | None:
        """The first route that is for this call."""
        for _, match, route in routes.entries:
            self._raised = None
            unmet = match.unmet(request, context, self._tape, now, failed=self._raise if self.imagined else None)
            self.looked.append(Looked(service.name, route.name, *self._in_words(unmet, request, context)))
            if unmet is None:
                found: Route = route
                return found
        return None

    def split(self, split: Split[T], request: Request, context: Any, rng: Rng) -> T:
        """What the split says of this call."""
        before, said = len(self._tape.drawn), split.said(request, context)
        part: Any = split.pick(request, context, self._tape)
        place = self._tape.drawn[before] if said is None else split.place(said)
        key = None if said is None else said.decode("utf-8", "replace")
        self.drawn = Drawn(split.shares, place, key, part.service.name)
        found: T = part
        return found

    def _raise(self, error: Exception) -> None:
        self._raised = error

    def _in_words(self, unmet: Condition | None, request: Request, context: Any) -> tuple[str | None, ...]:
        if unmet is None:
            return ()
        wanted = None if unmet.wanted is None else str(unmet.wanted)
        if unmet.name == CHANCE:
            return unmet.name, wanted, f"{100 * self._tape.drawn[-1]:.4g}"
        return unmet.name, wanted, self._seen(unmet, unmet.seen(request, context))

    def _seen(self, unmet: Condition, seen: str | Sequence[str] | None) -> str | None:
        if seen is None:
            return None if self._raised is None else repr(self._raised)
        if isinstance(seen, str):
            return repr(seen)
        if seen and unmet.name in SECRET:
            return "(not shown)"
        return ", ".join(map(repr, seen)) or "(not there)"
