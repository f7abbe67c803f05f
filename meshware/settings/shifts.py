"""What is wrong with shifts beside each other, the routes and the services."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pydantic import ValidationInfo

from meshware.settings.grammar import Refused
from meshware.settings.references import nearest
from meshware.settings.refusals import Refusal, refuse
from meshware.settings.routes import label
from meshware.settings.sections.matching import MatchSettings
from meshware.settings.sections.routing import RouteSettings
from meshware.settings.sections.shifting import ShiftSettings
from meshware.settings.shadowing import shadowed


def checked(shifts: tuple[ShiftSettings, ...], info: ValidationInfo) -> tuple[ShiftSettings, ...]:
    """Shifts as they are, or every refusal of all of them together."""
    found = [*_by_themselves(shifts), *_unreached(shifts, info.data.get("routes", ()))]
    if "services" in info.data:
        found += _unknown(shifts, info.data["services"])
    if found:
        refuse(found)
    return shifts


def _by_themselves(shifts: tuple[ShiftSettings, ...]) -> Iterator[Refusal]:
    names: dict[str, int] = {}
    for place, each in enumerate(shifts):
        if each.to == each.service and each.to_subset in (None, each.subset):
            yield Refusal((place, "to"), each.to, Refused("another service, or another `to_subset` of it"))
        first = names.setdefault(each.name, place)
        if first != place:
            yield Refusal((place, "name"), each.name, Refused(f"a name of its own: it is that of shifts[{first}]"))


def _unreached(shifts: tuple[ShiftSettings, ...], routes: tuple[RouteSettings, ...]) -> Iterator[Refusal]:
    """Those of services whose calls are all decided before."""
    matches = [each.match for each in routes] + [MatchSettings(service=each.service) for each in shifts]
    for place, earlier in shadowed(dict(enumerate(matches))).items():
        if place >= len(routes):
            inner = earlier < len(routes)
            first = label(earlier, routes[earlier]) if inner else f"shifts[{earlier - len(routes)}]"
            error = Refused(f"a service with calls to shift: {first} is for all of them")
            yield Refusal((place - len(routes), "service"), shifts[place - len(routes)].service, error)


def _unknown(shifts: tuple[ShiftSettings, ...], services: Collection[Any]) -> Iterator[Refusal]:
    for place, each in enumerate(shifts):
        for key in ("service", "to"):
            name = getattr(each, key)
            if name not in services:
                expected = f"a service of the settings (known: {', '.join(services) or 'none'})"
                yield Refusal((place, key), name, Refused(expected, nearest(name, services)))
