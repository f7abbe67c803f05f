"""Each value in force, and who said so: nobody, the `defaults` section, or the settings themselves; and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from meshware.settings import shape
from meshware.settings.model import PluginChoice
from meshware.settings.origin import Location, Source, dotted
from meshware.settings.profiles import settings_of
from meshware.settings.schema import MeshSettings


@dataclass(frozen=True, slots=True)
class Value:
    """One setting in force, as plain data."""

    location: Location
    value: Any
    source: Literal["default", "profile", "defaults", "set"]
    """Built in; the profile's; written in the `defaults` section; written for this very path."""
    where: str | None
    """`mesh.yaml:7`, a module, an environment variable's name; None for a default, or when it is not known."""

    @property
    def path(self) -> str:
        """`services.inventory.timeout`."""
        return dotted(self.location)


def explain(settings: MeshSettings, source: Source) -> Iterator[Value]:
    """Every value of settings that were made of this source, path by path."""
    written, dump = _section(source.settings), settings.model_dump(mode="json", fallback=repr)
    yield from _below(settings, dump, (), sections=(written, {}, {}), source=source, without=SERVICES)
    named, defaults = shape.named(_section(written.get("services"))), _section(written.get("defaults"))
    for name, service in settings.services.items():
        own = _section(named.get(name))
        sections = own, defaults, settings_of(service.profile)
        yield from _below(service, dump["services"][name], ("services", name), sections=sections, source=source)


SERVICES = frozenset({"defaults", "services"})
"""Defaults are in force in the services, or nowhere."""

Sections = tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any]]
"""What is written in a service's section, in the same one of the defaults, and what its profile says there."""


def _below(
    model: BaseModel,
    dump: dict[str, Any],
    location: Location,
    *,
    sections: Sections,
    source: Source,
    without: frozenset[str] = frozenset(),
) -> Iterator[Value]:
    for key in (each for each in type(model).model_fields if each not in without):
        value = getattr(model, key)
        if isinstance(value, BaseModel) and not isinstance(value, PluginChoice):
            yield from _below(value, dump[key], (*location, key), sections=_deeper(sections, key), source=source)
        else:
            yield _said((*location, key), dump[key], sections, source)


def _deeper(sections: Sections, key: str) -> Sections:
    """One section of each, without what a narrower one has taken the place of."""
    left: list[dict[Any, Any]] = []
    above: dict[Any, Any] = {}
    for each in sections:
        left.append(shape.inherited(_section(each.get(key)), above))
        above = left[-1] | above
        if key in each and not isinstance(shape.plain(each[key]), dict):  # such as `retry: false`
            break
    own, defaults, profile = (*left, {}, {})[:3]
    return own, defaults, profile


def _said(location: Location, value: Any, sections: Sections, source: Source) -> Value:
    own, defaults, profile = sections
    if location[-1] in own:
        return Value(location, value, "set", source.where(location))
    if location[-1] in defaults:
        return Value(location, value, "defaults", source.where(("defaults", *location[2:])))
    if location[-1] in profile:
        return Value(location, value, "profile", None)
    return Value(location, value, "default", None)


def _section(written: Any) -> dict[Any, Any]:
    """A raw section in the one spelling of its keys; nothing, where there is none."""
    section = shape.plain(written)
    return section if isinstance(section, dict) else {}
