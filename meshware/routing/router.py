"""Router: what the routes say of a call, before it begins. The first one that is for it decides.

Made anew at each load of the settings, off the calls' path; it learns nothing, so nothing is lost by that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.core.plan import Edits, Plan
from meshware.core.request import Request
from meshware.routing.index import Entry, Index

if TYPE_CHECKING:
    from meshware.core.service import Service
    from meshware.routing.match import Match
    from meshware.routing.shift import Shift
    from meshware.routing.split import Split
    from meshware.routing.telling import Telling

HOPS = 100
"""Redirects in a row that are followed. Cycles are refused at load; a reload in the midst of a call could make one."""

Routed = tuple["Service", Request, Plan | None]
"""Whose call it is, with which request, and by which plan; None: by the service's own."""


class Route:
    """What becomes of the calls that a match finds. Immutable.

    `plan` or `split`: where they go at last; `redirect`: the service whose routes decide further. `rewrite` gives
    another path.
    """

    __slots__ = ("edits", "name", "plan", "redirect", "rewrite", "split")

    def __init__(
        self,
        name: str,
        *,
        plan: Plan | None = None,
        split: Split[Plan] | Shift | None = None,
        redirect: Service | None = None,
        rewrite: Callable[[str], str] | None = None,
        edits: Edits | None = None,
    ) -> None:
        self.name = name
        self.plan = plan
        self.split = split
        self.redirect = redirect
        self.rewrite = rewrite
        self.edits = edits

    def __repr__(self) -> str:
        return f"<Route {self.name}>"


class Part(NamedTuple):
    """What a route has that must outlive a reload, and the settings that it is made of."""

    route: str
    made_of: Any
    part: Any


class Routes:
    """The routes of one service's calls, in their order. Thread-safe: immutable.

    `faults` are those that they inject, `mirrors`, `shifts` and other `parts` those that they have, whoever's calls
    they are in the end.
    """

    __slots__ = ("_index", "entries", "faults", "mirrors", "parts", "shifts")

    def __init__(
        self,
        routes: Sequence[tuple[Match, Route]],
        faults: Sequence[Any] = (),
        mirrors: Sequence[Any] = (),
        shifts: Sequence[Any] = (),
        parts: Sequence[Part] = (),
    ) -> None:
        self.faults, self.mirrors, self.shifts, self.parts = faults, mirrors, shifts, parts
        self.entries = [Entry(place, match, route) for place, (match, route) in enumerate(routes)]
        self._index = Index(self.entries)

    def find(self, service: Service, request: Request, context: Any, now: float) -> Route | None:
        """The first route that is for this call."""
        rng = service.rng
        for entry in self._index.candidates(request):
            if entry.match.unmet(request, context, rng, now) is None:
                found: Route = entry.route
                return found
        return None

    def route(
        self, service: Service, request: Request, context: Any, now: float, told: Telling | None = None
    ) -> Routed:
        """What is decided of a call. A fault of ours decides nothing: the call goes on as if there were no routes.

        `told` hears of all that is looked at, and finds the route instead.
        """
        try:
            return self._walk(service, request, context, now, told)
        except Exception as error:
            if told is None or not told.imagined:
                service.failed("route", error, now)
            return service, request, None

    def _walk(self, service: Service, request: Request, context: Any, now: float, told: Telling | None) -> Routed:
        edits: Edits | None = None
        routes: Routes | None = self
        find = Routes.find if told is None else told.find
        for _ in range(HOPS):
            route = None if routes is None else find(routes, service, request, context, now)
            if route is None:
                return service, request, None if edits is None else Plan(service, edits=edits)
            if route.redirect is None:
                return _settled(route, service, request, context, edits, told)
            if route.rewrite is not None:
                request = request.at(request.authority, route.rewrite(request.path))
            service, routes = route.redirect, route.redirect.routes
            request = request.at(service.name, request.path)
            edits = _after(route.edits, edits)
        raise RecursionError(f"more than {HOPS} redirects in a row")


def _settled(
    route: Route, service: Service, request: Request, context: Any, edits: Edits | None, told: Telling | None
) -> Routed:
    """The end of the way: where this route sends the call."""
    plan, split = route.plan, route.split
    if split is not None:
        pick = split.pick if told is None else partial(told.split, split.now)
        plan = pick(request, context, service.rng)
    assert plan is not None
    if edits is not None:
        plan = plan.after(edits)
    path = request.path if route.rewrite is None else route.rewrite(request.path)
    if path is not request.path or plan.service.name != request.authority or plan.template is not None:
        request = request.at(plan.service.name, path, name=plan.template)
    return plan.service, request, plan


def _after(edits: Edits | None, before: Edits | None) -> Edits | None:
    """Changes of headers after those of the routes before."""
    if edits is None or before is None:
        return edits or before
    return replace(edits, before=before)
