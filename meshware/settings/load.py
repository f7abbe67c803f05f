"""From a source to settings, or to one SettingsError with every problem, its path and the nearest right name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from meshware.core.errors import Problem, SettingsError
from meshware.settings.environment import overridden
from meshware.settings.files import from_file, is_file
from meshware.settings.origin import Location, Source, dotted
from meshware.settings.references import nearest
from meshware.settings.schema import MeshSettings
from meshware.settings.sources import from_module


def load(source: Any, *, environ: Mapping[str, str] | None = None) -> MeshSettings:
    """Settings from a mapping, a TOML or YAML file, a dotted module path, or as they are.

    `environ`: whose `MESHWARE__...` variables stand above the source; none unless given, and never above
    settings that are a MeshSettings already. Raises SettingsError with every problem found; nothing else,
    whatever is handed in.
    """
    return validated(overridden(read(source), {} if environ is None else environ))


def read(source: Any) -> Source:
    """A source as it was written, not yet looked at. Raises SettingsError when it cannot be read."""
    if isinstance(source, Source):
        return source
    if isinstance(source, os.PathLike) or (isinstance(source, str) and is_file(source)):
        return from_file(source)
    if isinstance(source, str):
        return Source(from_module(source), source)
    return Source(source)


def validated(source: Source) -> MeshSettings:
    """The settings of a source. Raises SettingsError with every problem, those found while reading it included."""
    if isinstance(source.settings, MeshSettings):
        return source.settings
    if not isinstance(source.settings, Mapping):
        expected = "a dict of settings, a .toml or .yaml file, or the dotted path of a module"
        raise SettingsError([*source.problems, Problem("", source.settings, expected, where=source.name)])
    problems = list(source.problems)
    try:
        settings = MeshSettings.model_validate(source.settings)
    except ValidationError as error:
        problems += [_problem(each, source) for each in error.errors()]
    if problems:
        raise SettingsError(problems)
    return settings


def _problem(error: Any, source: Source) -> Problem:
    location: Location = tuple(error["loc"])
    return replace(_explained(location, error), where=source.where(location))


def _explained(location: Location, error: Any) -> Problem:
    path, value, kind = dotted(location), error["input"], error["type"]
    if kind == "extra_forbidden":
        return _unknown_key(location, value)
    if kind == "missing":
        return Problem(path, None, "missing, but needed")
    if kind in ("tuple_type", "dict_type", "model_type"):
        return Problem(path, value, "a list is needed" if kind == "tuple_type" else "a dict is needed")
    reason = error.get("ctx", {}).get("error", error["msg"])
    text = str(reason)
    return Problem(path, value, text[:1].lower() + text[1:], getattr(reason, "nearest", None))


def _unknown_key(location: Location, value: Any) -> Problem:
    key, known = str(location[-1]), sorted(_model_at(location[:-1]).model_fields)
    if key.lower() in known:
        return Problem(dotted(location), value, f"{key.lower()!r} is written twice, in different cases")
    return Problem(dotted(location), value, f"unknown key (known: {', '.join(known)})", nearest(key, known))


def _model_at(location: Location) -> type[BaseModel]:
    """The model whose keys stand at a place; names of services lead to none."""
    model: type[BaseModel] = MeshSettings
    parts: Iterator[str | int] = iter(location)
    for part in parts:
        if isinstance(part, str):
            field = model.model_fields[part]
            model = _inner(field.annotation) or model
            if get_origin(field.annotation) is dict:
                next(parts, None)
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    """The model inside `tuple[M, ...]`, `dict[str, M]` or `M | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _inner(each)) is not None), None)
