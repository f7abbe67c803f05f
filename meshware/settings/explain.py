"""Each value in force, and who said so: nobody, the `defaults` section, or the settings themselves; and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from meshware.settings import shape
from meshware.settings.origin import Location, Source, dotted
from meshware.settings.schema import MeshSettings, StrategyChoice


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
    written = shape.plain(source.settings)
    if "services" in written:
        written = written | {"services": shape.named(shape.plain(written["services"]))}
    for location, value in _values(settings):
        yield _said(location, value, written, source)


def _values(settings: MeshSettings) -> Iterator[tuple[Location, Any]]:
    dump = settings.model_dump(mode="json", fallback=repr)
    for key in MeshSettings.model_fields:
        if key not in ("defaults", "services"):  # defaults are in force in the services, or nowhere
            yield (key,), dump[key]
    for name, service in settings.services.items():
        yield from _below(service, dump["services"][name], ("services", name))


def _below(model: BaseModel, dump: dict[str, Any], location: Location) -> Iterator[tuple[Location, Any]]:
    for key in type(model).model_fields:
        value = getattr(model, key)
        if isinstance(value, BaseModel) and not isinstance(value, StrategyChoice):
            yield from _below(value, dump[key], (*location, key))
        else:
            yield (*location, key), dump[key]


def _said(location: Location, value: Any, written: Any, source: Source) -> Value:
    if _stands(location, written):
        return Value(location, value, "set", source.where(location))
    spread = ("defaults", *location[2:])
    if location[0] == "services" and _stands(spread, written):
        return Value(location, value, "defaults", source.where(spread))
    return Value(location, value, "default", None)


def _stands(location: Location, written: Any) -> bool:
    """Whether the raw settings have something at a place, in whatever spelling."""
    for key in location:
        if not isinstance(written, dict) or key not in written:
            return False
        written = shape.plain(written[key])
    return True
