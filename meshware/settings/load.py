"""From a source to settings, or to one SettingsError with every problem, its path and the nearest right name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from meshware import plugins
from meshware.core.errors import PluginError, Problem, SettingsError
from meshware.settings.schema import MeshSettings, StrategyChoice
from meshware.settings.sources import from_module


def load(source: Mapping[str, Any] | str | MeshSettings) -> MeshSettings:
    """Settings from a mapping, a dotted module path, or as they are.

    Raises SettingsError with every problem found, strategies that nobody brings included.
    """
    if isinstance(source, MeshSettings):
        return source
    if isinstance(source, str):
        source = from_module(source)
    if not isinstance(source, Mapping):
        raise SettingsError([Problem("", source, "a dict of settings, or the dotted path of a module")])
    problems = _strategy_problems(source)
    try:
        settings = MeshSettings.model_validate(dict(source))
    except ValidationError as error:
        raise SettingsError([*map(_problem, error.errors()), *problems]) from None
    if problems:
        raise SettingsError(problems)
    return settings


def _strategy_problems(source: Mapping[str, Any]) -> list[Problem]:
    """Strategies that nobody brings or that refuse their options, read from the raw source.

    So they show beside every other problem; what is not even of the right shape is left to the models.
    """
    sections = {str(key).lower(): value for key, value in source.items()}
    services = sections.get("services")
    named = {f"services.{name}": each for name, each in services.items()} if isinstance(services, Mapping) else {}
    problems = []
    for path, section in {"defaults": sections.get("defaults"), **named}.items():
        if not isinstance(section, Mapping):
            continue
        raw = next((value for key, value in section.items() if str(key).lower() == "strategy"), None)
        try:
            choice = None if raw is None else StrategyChoice.model_validate(raw)
        except ValidationError:
            continue
        problem = None if choice is None else _refused(f"{path}.strategy", choice)
        if problem is not None:
            problems.append(problem)
    return problems


def _refused(path: str, choice: StrategyChoice) -> Problem | None:
    names = plugins.strategies()
    if choice.name not in names:
        return Problem(path, choice.name, f"one of {', '.join(sorted(names))}", _nearest(choice.name, names))
    try:
        plugins.make(plugins.STRATEGIES, choice.name, choice.options)
    except PluginError as error:
        return Problem(path, choice.options or choice.name, str(error))
    return None


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
