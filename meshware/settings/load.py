"""From a source to settings, or to one SettingsError with every problem, its path and the nearest right name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from meshware.core.errors import Problem, SettingsError
from meshware.settings.schema import MeshSettings
from meshware.settings.sources import from_module


def load(source: Mapping[str, Any] | str | MeshSettings, *, names: Collection[str] = ()) -> MeshSettings:
    """Settings from a mapping, a dotted module path, or as they are. `names`: the strategies there are.

    Raises SettingsError with every problem found.
    """
    if isinstance(source, str):
        source = from_module(source)
    problems: list[Problem] = []
    settings: MeshSettings | None = None
    if isinstance(source, MeshSettings):
        settings = source
    else:
        try:
            settings = MeshSettings.model_validate(dict(source) if isinstance(source, Mapping) else source)
        except ValidationError as error:
            problems += [_problem(each) for each in error.errors()]
        problems += _unknown_strategies(source, names)
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def _unknown_strategies(source: Any, names: Collection[str]) -> list[Problem]:
    """Strategies that nobody brings, read from the raw source so that they show beside every other problem."""
    if not names or not isinstance(source, Mapping):
        return []
    raw = {str(key).lower(): value for key, value in source.items()}
    services = raw.get("services")
    sections = {f"services.{name}": each for name, each in services.items()} if isinstance(services, Mapping) else {}
    problems = []
    for path, section in {"defaults": raw.get("defaults"), **sections}.items():
        if not isinstance(section, Mapping):
            continue
        choice = next((value for key, value in section.items() if str(key).lower() == "strategy"), None)
        name = next(iter(choice)) if isinstance(choice, Mapping) and len(choice) == 1 else choice
        if isinstance(name, str) and name not in names:
            known = f"one of {', '.join(sorted(names))}"
            problems.append(Problem(f"{path}.strategy", name, known, _nearest(name, names)))
    return problems


def _problem(error: Any) -> Problem:
    location, value = tuple(error["loc"]), error["input"]
    kind, message = error["type"], error["msg"].removeprefix("Value error, ")
    path = _path(location)
    if kind == "extra_forbidden":
        known = _keys_beside(location)
        return Problem(path, value, f"unknown key (known: {', '.join(known)})", _nearest(str(location[-1]), known))
    if kind == "too_short":
        return Problem(path, value, "no endpoints: at least one is needed")
    return Problem(path, value, message[:1].lower() + message[1:])


def _path(location: tuple[str | int, ...]) -> str:
    """`services.inventory.endpoints[0].weight`; the names of union members are none of the user's business."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith(("literal[", "constrained-", "function-", "float")):
            path += f".{part}" if path else part
    return path


def _keys_beside(location: tuple[str | int, ...]) -> list[str]:
    """The keys that are known where an unknown one stands."""
    model: Any = MeshSettings
    for part in location[:-1]:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _inner(model.model_fields[str(part)].annotation)
    return sorted(model.model_fields)


def _inner(annotation: Any) -> Any:
    """The model inside `tuple[M, ...]`, `dict[str, M]` or `M | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _inner(each)) is not None), None)


def _nearest(name: str, known: Collection[str]) -> str | None:
    return next(iter(get_close_matches(name.lower(), known, n=1)), None)
