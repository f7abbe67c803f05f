"""Each value in force, and who said so: nobody, the `defaults` section, or the settings themselves; and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from meshware.settings import shape
from meshware.settings.model import PluginChoice
from meshware.settings.origin import Location, Source, dotted
from meshware.settings.schema import MeshSettings


@dataclass(frozen=True, slots=True)
class Value:
    """One setting in force, as plain data."""

    location: Location
    value: Any
    source: Literal["default", "defaults", "set"]
    """Built in; written in the `defaults` section; written for this very path."""
    where: str | None
    """`mesh.yaml:7`, a module, an environment variable's name; None for a default, or when it is not known."""

    @property
    def path(self) -> str:
        """`services.inventory.timeout`."""
        return dotted(self.location)


def explain(settings: MeshSettings, source: Source) -> Iterator[Value]:
    """Every value of settings that were made of this source, path by path."""
    written, dump = _section(source.settings), settings.model_dump(mode="json", fallback=repr)
    yield from _below(settings, dump, (), sections=(written, {}), source=source, without=SERVICES)
    own, defaults = shape.named(_section(written.get("services"))), _section(written.get("defaults"))
    for name, service in settings.services.items():
        sections = _section(own.get(name)), defaults
        yield from _below(service, dump["services"][name], ("services", name), sections=sections, source=source)


SERVICES = frozenset({"defaults", "services"})
"""Defaults are in force in the services, or nowhere."""

Sections = tuple[dict[Any, Any], dict[Any, Any]]
"""What is written in a service's section, and in the same one of the defaults."""


def _below(
    model: BaseModel,
    dump: dict[str, Any],
    location: Location,
    *,
    sections: Sections,
    source: Source,
    without: frozenset[str] = frozenset(),
) -> Iterator[Value]:
    own, spread = sections
    for key in (each for each in type(model).model_fields if each not in without):
        value = getattr(model, key)
        if isinstance(value, BaseModel) and not isinstance(value, PluginChoice):
            inner = _section(own.get(key))
            deeper = inner, shape.inherited(_section(spread.get(key)), inner)
            yield from _below(value, dump[key], (*location, key), sections=deeper, source=source)
        else:
            yield _said((*location, key), dump[key], sections, source)


def _said(location: Location, value: Any, sections: Sections, source: Source) -> Value:
    own, spread = sections
    if location[-1] in own:
        return Value(location, value, "set", source.where(location))
    if location[-1] in spread:
        return Value(location, value, "defaults", source.where(("defaults", *location[2:])))
    return Value(location, value, "default", None)


def _section(written: Any) -> dict[Any, Any]:
    """A raw section in the one spelling of its keys; nothing, where there is none."""
    section = shape.plain(written)
    return section if isinstance(section, dict) else {}
