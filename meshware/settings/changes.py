"""What other settings change: services, endpoints, and each setting by its path with its old and its new value.

What is compared is what is in force: a default that changes does so in each service that has no value of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from meshware.files.location import Location, dotted
from meshware.settings.model import PluginChoice
from meshware.settings.schema import MeshSettings, ServiceSettings
from meshware.settings.sections.routing import RouteSettings

SHOWN = 3
"""Endpoints and services that a line names."""

WIDEST = 60
"""Characters of a value that a line shows."""

SECRET = re.compile(r"token|secret|passw|credential|authorization|cookie|api.?key|private", re.IGNORECASE)
"""Names of options and headers whose values are shown to nobody."""

APART = {"defaults", "services", "endpoints", "routes"}
"""What is in force elsewhere, or compared by name."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is other than before, `old` and `new` as plain data; secrets are left out.

    An endpoint's, a route's or a service's own path is that of its list: `what` names it.
    """

    location: Location
    kind: Literal["added", "removed", "changed"]
    old: Any = None
    new: Any = None
    what: str | None = None

    @property
    def path(self) -> str:
        """`services.inventory.timeout`."""
        return dotted(self.location)

    def __str__(self) -> str:
        if self.kind == "changed":
            return f"{self.path}: {in_short(self.old)} -> {in_short(self.new)}"
        return f"{self.path}: {self.what} {self.kind}"


def changes(old: MeshSettings, new: MeshSettings) -> Iterator[Change]:
    """All of them: those of the mesh itself first, then service by service."""
    yield from _below((), old, new)
    for name, service in old.services.items():
        if name not in new.services:
            yield Change(("services",), "removed", old=_plain(service), what=name)
    for name, service in new.services.items():
        before = old.services.get(name)
        if before is None:
            yield Change(("services",), "added", new=_plain(service), what=name)
        elif before != service:
            yield from _of_service(("services", name), before, service)
    yield from _of_routes(old.routes, new.routes)


def _of_service(location: Location, old: ServiceSettings, new: ServiceSettings) -> Iterator[Change]:
    place = (*location, "endpoints")
    before, after = ({each.address: each for each in one.endpoints} for one in (old, new))
    for address, each in before.items():
        if address not in after:
            yield Change(place, "removed", old=_plain(each), what=address)
    for address, each in after.items():
        known = before.get(address)
        if known is None:
            yield Change(place, "added", new=_plain(each), what=address)
        else:
            yield from _below((*place, address), known, each)
    yield from _below(location, old, new)
    if old.timeout == new.timeout and old.timeout_chosen is not new.timeout_chosen:
        chosen, other = f"{new.timeout:g} s, body included", f"{new.timeout:g} s, to the headers"
        said = (other, chosen) if new.timeout_chosen else (chosen, other)
        yield Change((*location, "timeout"), "changed", *said)


def _of_routes(old: Sequence[RouteSettings], new: Sequence[RouteSettings]) -> Iterator[Change]:
    """Routes by their names; those without one by their places. Which comes first matters too."""
    before, after = ({each.name or place: each for place, each in enumerate(some)} for some in (old, new))
    for key, each in before.items():
        if key not in after:
            yield Change(("routes",), "removed", old=_plain(each), what=_route(key))
    for key, each in after.items():
        if key not in before:
            yield Change(("routes",), "added", new=_plain(each), what=_route(key))
        else:
            yield from _below(("routes", key), before[key], each)
    was, now = ([str(key) for key in some if key in before and key in after] for some in (before, after))
    if was != now:
        yield Change(("routes",), "changed", was, now)


def _route(key: str | int) -> str:
    return key if isinstance(key, str) else dotted(("routes", key))


def _below(location: Location, old: BaseModel, new: BaseModel) -> Iterator[Change]:
    """The settings of a section that differ, deeper sections' included."""
    for key in type(new).model_fields:
        before, after = getattr(old, key), getattr(new, key)
        if key in APART or before == after:
            continue
        place = (*location, key)
        if isinstance(before, BaseModel) and type(before) is type(after) and not isinstance(before, PluginChoice):
            yield from _below(place, before, after)
        else:
            yield Change(place, "changed", _plain(_dumped(old, key)), _plain(_dumped(new, key)))


# In words


def in_words(found: Iterable[Change]) -> list[str]:
    """A line for each; one for all services where the same changes in the same way in more than a few."""
    alike: dict[str, list[Change]] = {}
    for each in found:
        alike.setdefault(_alike(each), []).append(each)
    lines: list[str] = []
    for same in alike.values():
        if len(same) <= SHOWN:
            lines += map(str, same)
        else:
            names = some([str(each.location[1]) for each in same])
            lines.append(f"{str(same[0]).replace(same[0].path, _anywhere(same[0]), 1)} (in {len(same)}: {names})")
    return lines


def _alike(change: Change) -> str:
    """What changes of the same kind in several services have in common; a text that no other has, for any other."""
    if change.kind != "changed" or change.location[0] != "services":
        return f"{change.path} {change.kind} {change.what}"
    return json.dumps([_anywhere(change), change.old, change.new], default=repr)


def _anywhere(change: Change) -> str:
    return dotted(("services", "*", *change.location[2:]))


def in_short(value: Any) -> str:
    """A value on one line, or the beginning of it."""
    if value is None:
        return "none"
    if isinstance(value, dict) and value.get("enabled") is False:
        return "off"
    if isinstance(value, list) and value and isinstance(value[0], dict) and "address" in value[0]:
        return some([each["address"] for each in value])
    if isinstance(value, list):
        text = ", ".join(in_short(each) if isinstance(each, dict) else str(each) for each in value) or "none"
    elif isinstance(value, dict) and "name" in value and "options" in value:
        text = f"{value['name']} {json.dumps(value['options'])}".removesuffix(" {}")
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def some(names: list[str]) -> str:
    """The first of them, and how many more."""
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _dumped(model: BaseModel, key: str) -> Any:
    return model.model_dump(mode="json", fallback=repr, include={key}, warnings=False)[key]


def _plain(value: Any) -> Any:
    """As plain data, without secrets."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json", fallback=repr, warnings=False)
    if isinstance(value, dict):
        return {str(key): "..." if SECRET.search(str(key)) else _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
