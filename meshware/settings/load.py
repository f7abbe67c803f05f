"""From a source to settings, or to one SettingsError with every problem, its path and the nearest right name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from meshware.core.errors import Problem, SettingsError
from meshware.settings.references import nearest
from meshware.settings.schema import MeshSettings
from meshware.settings.sources import from_module

Location = tuple[str | int, ...]


def load(source: Mapping[str, Any] | str | MeshSettings) -> MeshSettings:
    """Settings from a mapping, a dotted module path, or as they are.

    Raises SettingsError with every problem found; nothing else, whatever is handed in.
    """
    if isinstance(source, MeshSettings):
        return source
    if isinstance(source, str):
        source = from_module(source)
    if not isinstance(source, Mapping):
        raise SettingsError([Problem("", source, "a dict of settings, or the dotted path of a module")])
    try:
        return MeshSettings.model_validate(source)
    except ValidationError as error:
        raise SettingsError([_problem(each) for each in error.errors()]) from None


def _problem(error: Any) -> Problem:
    location, value, kind = tuple(error["loc"]), error["input"], error["type"]
    path = _path(location)
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
        return Problem(_path(location), value, f"{key.lower()!r} is written twice, in different cases")
    return Problem(_path(location), value, f"unknown key (known: {', '.join(known)})", nearest(key, known))


def _path(location: Location) -> str:
    """`services.inventory.endpoints[0].weight`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":  # the key itself is wrong, not what stands there
            path += f".{part}" if path else part
    return path


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
