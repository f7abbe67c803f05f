"""What is wrong with routes beside each other and beside the services: names, cycles, and what is never reached."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError, ValidatorFunctionWrapHandler

from meshware.settings.grammar import Refused
from meshware.settings.references import nearest
from meshware.settings.refusals import Refusal, refuse
from meshware.settings.sections.routing import RouteSettings
from meshware.settings.shadowing import shadowed

Routes = Mapping[int, RouteSettings]


def checked(raw: Any, handler: ValidatorFunctionWrapHandler) -> tuple[RouteSettings, ...]:
    """Routes as they are, or every refusal of each by itself and of all together."""
    others: ValidationError | None = None
    try:
        routes: tuple[RouteSettings, ...] = handler(raw)
        sound: Routes = dict(enumerate(routes))
    except ValidationError as error:
        routes, others, sound = (), error, _sound(raw)
    found = list(_together(sound, getattr(raw, "names", None)))
    if found or others is not None:
        refuse(found, others)
    return routes


def label(place: int, route: RouteSettings) -> str:
    """What messages call a route."""
    return route.name or f"routes[{place}]"


def _sound(raw: Any) -> Routes:
    """Those that are right by themselves."""
    found = {}
    for place, each in enumerate(raw if isinstance(raw, list | tuple) else ()):
        try:
            found[place] = RouteSettings.model_validate(each)
        except ValidationError:
            continue
    return found


def _together(routes: Routes, services: Collection[str] | None) -> Iterator[Refusal]:
    if services is not None:
        yield from _unknown(routes, services)
    yield from _twice(routes)
    yield from _cycles(routes)
    for place, earlier in shadowed({place: route.match for place, route in routes.items()}).items():
        error = Refused(
            f"a route that is reached: {label(earlier, routes[earlier])} comes first, and is for all of its calls"
        )
        yield Refusal((place,), label(place, routes[place]), error)


def _unknown(routes: Routes, services: Collection[str]) -> Iterator[Refusal]:
    """Services that are not there."""
    for place, route in routes.items():
        named: list[tuple[tuple[str | int, ...], str]] = [(("match", "service"), route.match.service)]
        named += [(("split", name), name) for name in route.split or ()]
        named += [(("redirect",), route.redirect)] if route.redirect is not None else []
        named += [(("mirror", place, "service"), each.service) for place, each in enumerate(route.mirror)]
        for at, name in named:
            if name not in services:
                expected = f"a service of the settings (known: {', '.join(services) or 'none'})"
                yield Refusal((place, *at), name, Refused(expected, nearest(name, services)))


def _twice(routes: Routes) -> Iterator[Refusal]:
    """Names that another route has."""
    owners: dict[str, int] = {}
    for place, route in routes.items():
        if route.name is None:
            continue
        first = owners.setdefault(route.name, place)
        if first != place:
            yield Refusal((place, "name"), route.name, Refused(f"a name of its own: it is that of routes[{first}]"))


def _cycles(routes: Routes) -> Iterator[Refusal]:
    """Redirects that lead back to where they begin, whatever else the routes on the way ask for."""
    leads: dict[str, list[str]] = {}
    for route in routes.values():
        if route.redirect is not None:
            leads.setdefault(route.match.service, []).append(route.redirect)
    for place, route in routes.items():
        way = None if route.redirect is None else _way(leads, route.redirect, route.match.service)
        if way is not None:
            shown = " -> ".join([route.match.service, *way])
            yield Refusal((place, "redirect"), route.redirect, Refused(f"a redirect that ends somewhere, not {shown}"))


def _way(leads: Mapping[str, list[str]], start: str, end: str) -> list[str] | None:
    """The services on a way from one to another; None where there is none."""
    waiting, seen = [[start]], {start}
    while waiting:
        way = waiting.pop(0)
        if way[-1] == end:
            return way
        for each in leads.get(way[-1], ()):
            if each not in seen:
                seen.add(each)
                waiting.append([*way, each])
    return None
