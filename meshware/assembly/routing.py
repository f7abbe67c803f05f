"""From the settings' routes to what services are asked before their calls begin. A part of the assembly."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from meshware import plugins
from meshware.assembly.policies import hedging_of, retries_of
from meshware.assembly.route_settings import (
    edits_of,
    header_edits,
    limiter_of,
    match_options,
    mirror_options,
    rewrite_of,
    sticky_key,
)
from meshware.core.endpoint import Endpoint
from meshware.core.plan import Plan
from meshware.core.policy import PoolStrategy
from meshware.core.service import HOOKS, Service
from meshware.core.subset import Subset
from meshware.fallback.fallback import Fallback, reply_of
from meshware.routing.faults import Faults
from meshware.routing.match import Match, MatchOptions
from meshware.routing.mirror import Mirror
from meshware.routing.router import Part, Route, Routes
from meshware.routing.shift import Shift, ShiftOptions
from meshware.routing.split import Split
from meshware.settings.model import PluginChoice
from meshware.settings.routes import label
from meshware.settings.schema import MeshSettings, ServiceSettings
from meshware.settings.sections.fallback import FallbackSettings
from meshware.settings.sections.faults import FaultSettings
from meshware.settings.sections.routing import MirrorSettings, RouteSettings, SubsetSettings
from meshware.settings.sections.shifting import ShiftSettings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Makers:
    """What makes those parts of a route that a service may have as well.

    `learner`: a strategy as its author wrote it; `strategy`: what picks by one, over some of a service's endpoints.
    """

    learner: Callable[[PluginChoice, ServiceSettings], Any]
    strategy: Callable[[Service, Any, Callable[[], Sequence[Endpoint]]], PoolStrategy]
    faults: Callable[[Sequence[Faults], Service, tuple[FaultSettings, ...]], Faults]
    fallback: Callable[[FallbackSettings], Fallback | None]


def _wanted(
    subset: SubsetSettings | None, strategy: PluginChoice | None
) -> tuple[Mapping[str, Any], bool, PluginChoice | None]:
    """By what a subset is known (core/subset.py)."""
    return ({}, False, strategy) if subset is None else (subset.metadata, subset.fallback == "any", strategy)


def _here(wanted: str | None, home: str) -> bool:
    return wanted is None or home == wanted or home.startswith(wanted.rstrip("/") + "/")


class Routing:
    """The routes of these settings, for these services.

    It is made before anything of the `previous` services is touched, and may raise PluginError; `put` comes when all of
    the new ones stand. What is made of the same settings as there goes on, with what it knows.
    """

    def __init__(
        self,
        settings: MeshSettings,
        services: Mapping[str, Service],
        previous: Mapping[str, Service],
        make: Makers,
        now: float,
    ) -> None:
        self._settings, self._services, self._make, self._now = settings, services, make, now
        self._before = [service.routes for service in previous.values() if service.routes is not None]
        self._known = {name: service.subsets for name, service in previous.items()}
        self._learners = {
            (label(place, each), to): self._learner(each.strategy, _wanted(each.subset, each.strategy), to)
            for place, each in enumerate(settings.routes)
            if each.strategy is not None
            for to in each.split or (each.match.service,)
        }
        self._subsets: dict[str, list[Subset]] = {}
        self._faults: defaultdict[str, list[Faults]] = defaultdict(list)
        self._mirrors: defaultdict[str, list[Mirror]] = defaultdict(list)
        self._parts: defaultdict[str, list[Part]] = defaultdict(list)

    def put(self) -> None:
        """Have each service decide by them."""
        found: dict[str, list[tuple[Match, Route]]] = {}
        for place, each in enumerate(self._settings.routes):
            if _here(each.match.locality, self._settings.locality):
                found.setdefault(each.match.service, []).append(self._route(each, label(place, each)))
        shifted: defaultdict[str, list[Shift]] = defaultdict(list)
        for one in self._settings.shifts:
            shift, route = self._shift(one)
            shifted[one.service].append(shift)
            found.setdefault(one.service, []).append(route)
        for name, service in self._services.items():
            known = self._faults[name], self._mirrors[name], shifted[name], self._parts[name]
            service.routes = Routes(found[name], *known) if name in found else None
            self._put_subsets(service)

    def _learner(self, strategy: PluginChoice, wanted: Any, to: str) -> Any:
        """A route's strategy as its author wrote it, for one of the services that its calls go to."""
        known = next((one.learner for one in self._known.get(to, ()) if one.wanted == wanted), None)
        return self._make.learner(strategy, self._settings.services[to]) if known is None else known

    def _route(self, settings: RouteSettings, name: str) -> tuple[Match, Route]:
        """One route, and which calls it is for."""
        service = self._services[settings.match.service]
        match = Match(
            match_options(settings.match, self._now),
            failed=lambda error: service.failed(f"predicate of {name}", error, time.monotonic()),
        )
        rewrite = rewrite_of(settings.rewrite, settings.match.path)
        if settings.redirect is not None:
            edits, redirect = edits_of(settings), self._services[settings.redirect]
            return match, Route(name, redirect=redirect, rewrite=rewrite, edits=edits)
        shared = self._shared(settings, name)
        if settings.split is not None:
            parts = [(to, weight, self._plan(settings, name, to, shared)) for to, weight in settings.split.items()]
            return match, Route(name, split=Split(parts, sticky_key(settings.sticky)), rewrite=rewrite)
        return match, Route(name, plan=self._plan(settings, name, service.name, shared), rewrite=rewrite)

    def _shared(self, settings: RouteSettings, name: str) -> Mapping[str, Any]:
        """What its plans share, whichever services a split sends its calls to."""
        of, fallback, limits = settings.match.service, settings.fallback, (settings.limits, settings.rate_limit)
        mirrors = tuple(self._mirror(each, name) for each in settings.mirror)
        self._mirrors[of] += mirrors
        shared: dict[str, Any] = {"mirrors": mirrors}
        if fallback is not None:
            shared["fallback"] = (self._lasting(of, name, fallback, self._make.fallback),)
        if limits != (None, None):
            shared["limiter"] = self._lasting(of, name, limits, partial(limiter_of, name))
        return shared

    def _lasting(self, of: str, name: str, made_of: T, make: Callable[[T], Any]) -> Any:
        """A part of a route of this service: the one that was there before, where it is the same."""
        before = (each for routes in self._before for each in routes.parts)
        found = next((each for each in before if each.route == name and each.made_of == made_of), None)
        part = found or Part(name, made_of, make(made_of))
        self._parts[of].append(part)
        return part.part

    def _plan(self, settings: RouteSettings, name: str, to: str, shared: Mapping[str, Any]) -> Plan:
        service, path, reply = self._services[to], settings.match.path, settings.respond
        own = service.settings
        return Plan(
            service,
            name=name,
            timeout=settings.timeout,
            retry=None if settings.retry is None else retries_of(own.retry, settings.retry),
            hedging=None if settings.hedge is None else (hedging_of(own.hedge, settings.hedge),),
            subset=self._subset(service, settings.subset, settings.strategy, name),
            faults=None if settings.faults is None else self._injected(settings, service),
            reply=None if reply is None else reply_of(reply.status, reply.headers, reply.body, "route"),
            edits=edits_of(settings),
            answer_edits=header_edits(settings.response_headers),
            template=None if path is None else path.template,
            **shared,
        )

    def _mirror(self, settings: MirrorSettings, route: str) -> Mirror:
        """The one that was there before, where it is the same."""
        service = self._services[settings.service]
        subset = self._subset(service, settings.subset)
        plan = Plan(service, name=route, timeout=settings.timeout, subset=subset)
        known: Iterable[Mirror] = (mirror for routes in self._before for mirror in routes.mirrors)
        for mirror in known:
            if (mirror.route, mirror.made_of) == (route, settings):
                mirror.plan = plan
                return mirror
        return Mirror(route, mirror_options(settings), plan, made_of=settings)

    def _shift(self, settings: ShiftSettings) -> tuple[Shift, tuple[Match, Route]]:
        """The one that was there before, where it is the same; and the route that it decides by."""
        service, to = self._services[settings.service], self._services[settings.to]
        before = (shift for routes in self._before for shift in routes.shifts)
        shift: Shift = next((each for each in before if each.made_of == settings), None) or Shift(
            settings.name,
            ShiftOptions(
                steps=tuple(each / 100 for each in settings.steps), hold=settings.hold, **settings.guard.model_dump()
            ),
            service=service.name,
            to=to.name,
            made_of=settings,
            emit=service.emit,
            now=self._now,
        )
        old = Plan(service, name=settings.name, subset=self._subset(service, settings.subset))
        subset = self._subset(to, settings.to_subset)
        new = Plan(to, name=settings.name, subset=subset, decided=shift.decided)
        shift.between(old, new, sticky_key(settings.sticky))
        everything = Match(MatchOptions(), failed=lambda error: None)
        return shift, (everything, Route(settings.name, split=shift))

    def _injected(self, settings: RouteSettings, service: Service) -> Faults:
        before = [each for routes in self._before for each in routes.faults]
        faults = self._make.faults(before, service, settings.faults or ())
        self._faults[settings.match.service].append(faults)
        return faults

    def _subset(
        self, service: Service, settings: SubsetSettings | None, strategy: PluginChoice | None = None, of: str = ""
    ) -> Subset | None:
        """Where endpoints are picked for a route, `of` this name where it has a strategy; None: as the service does.

        It is the service's, where it has had the same before: what its strategy has learned of groups stays.
        """
        if settings is None and strategy is None:
            return None
        metadata, elsewhere, _ = wanted = _wanted(settings, strategy)
        made = self._subsets.setdefault(service.name, [])
        for each in (*made, *service.subsets):
            if each.wanted == wanted:
                break
        else:
            learner = None if strategy is None else self._learners[of, service.name]
            over = partial(self._make.strategy, service, service.learner if learner is None else learner)
            each = Subset(service, metadata, elsewhere=elsewhere, strategy=over, learner=learner, chosen=strategy)
        if each not in made:
            made.append(each)
        return each

    def _put_subsets(self, service: Service) -> None:
        """Have the service keep up the subsets that its routes name, and measure nothing for those that they did."""
        subsets, before = tuple(self._subsets.get(service.name, ())), self._known.get(service.name, ())
        for each in before:
            if each not in subsets:
                each.leave()
        if subsets == service.subsets == before:
            return
        service.subsets = subsets
        service.forget(HOOKS)
        gone = _needs(each.learner for each in before if each.learner is not None) - _needs(service.learners)
        for endpoint in service.endpoints if gone else ():
            for meter in gone:
                endpoint.detach(meter)
        if service.picker is not None:
            service.refresh(self._now)


def _needs(learners: Iterable[Any]) -> set[Any]:
    """What endpoints are measured for, by these strategies."""
    return {meter for each in learners for part in plugins.whole(each) for meter in getattr(part, "needs", ())}
