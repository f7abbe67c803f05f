"""What pydantic found wrong, as Problems: the path, what was expected, the nearest right name, where it was written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError

from meshware.core.errors import Problem
from meshware.settings import shape
from meshware.settings.late import model_in
from meshware.settings.origin import Location, Source, dotted
from meshware.settings.references import nearest

BOUNDS = frozenset({"greater_than", "greater_than_equal", "less_than", "less_than_equal", "finite_number"})
"""Kinds of problems with numbers that are numbers, but cannot be meant: these are told what the key means."""


def problems_of(error: ValidationError, source: Source, root: type[BaseModel], *, at: Location = ()) -> list[Problem]:
    """Every problem that a model found with what stands at a place of a source."""
    return [_problem(each, source, root, at) for each in error.errors()]


def _problem(error: Any, source: Source, root: type[BaseModel], at: Location) -> Problem:
    inner: Location = tuple(error["loc"])
    location = at + _as_written(inner, source.settings if not at else None)
    if error["type"] == "extra_forbidden":
        found = _unknown_key(location, error["input"], sorted(_model_at(inner[:-1], root).model_fields))
    else:
        found = _explained(dotted(location), error)
        if error["type"] in BOUNDS:
            found = replace(found, expected=found.expected + _meaning(inner, root))
    return replace(found, where=source.where(location))


def _as_written(location: Location, settings: Any) -> Location:
    """A place in a model as the source has it: one thing may stand where the model has a list of one."""
    place: list[str | int] = []
    value = settings
    for part in location:
        if part == 0 and isinstance(part, int) and not isinstance(value, list | tuple | None):
            continue
        place.append(part)
        if isinstance(part, int):
            value = value[part] if isinstance(value, list | tuple) and part < len(value) else None
        else:
            value = shape.plain(value).get(part) if isinstance(value, Mapping) else None
    return tuple(place)


def _explained(path: str, error: Any) -> Problem:
    value, kind = error["input"], error["type"]
    if kind == "missing":
        return Problem(path, None, "missing, but needed")
    if kind in ("tuple_type", "dict_type", "model_type"):
        return Problem(path, value, "a list is needed" if kind == "tuple_type" else "a dict is needed")
    reason = error.get("ctx", {}).get("error", error["msg"])
    text = str(reason)
    return Problem(path, value, text[:1].lower() + text[1:], getattr(reason, "nearest", None))


def _meaning(location: Location, root: type[BaseModel]) -> str:
    """What a key means, where a model says it."""
    try:
        field = _model_at(location[:-1], root).model_fields.get(str(location[-1]))
    except KeyError:
        field = None
    return "" if field is None or not field.description else f"; it means: {field.description}"


def _unknown_key(location: Location, value: Any, known: list[str]) -> Problem:
    key = str(location[-1])
    if key.lower() in known:
        return Problem(dotted(location), value, f"{key.lower()!r} is written twice, in different cases")
    return Problem(dotted(location), value, f"unknown key (known: {', '.join(known)})", nearest(key, known))


def _model_at(location: Location, root: type[BaseModel]) -> type[BaseModel]:
    """The model whose keys stand at a place; names of services lead to none."""
    model = root
    parts: Iterator[str | int] = iter(location)
    for part in parts:
        if isinstance(part, str):
            field = model.model_fields[part]
            model = model_in(field.annotation) or model
            if get_origin(field.annotation) is dict:
                next(parts, None)
    return model
