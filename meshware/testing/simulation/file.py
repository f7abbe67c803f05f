"""A user's own scenario, from a TOML or YAML file: every problem at once, each with file, line and field."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from meshware.core.errors import MeshError, Problem, SettingsError
from meshware.settings.files import from_file
from meshware.settings.origin import Location, Source, spelled
from meshware.settings.problems import problems_of
from meshware.settings.schema import ServiceSettings
from meshware.testing.simulation.checks import OWN
from meshware.testing.simulation.scenario import Scenario


class InputError(MeshError):
    """A scenario or a trace is refused; `problems` holds every fault found, each with its file, line and field."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.problems = tuple(each if each.path else replace(each, path="(file)") for each in problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) in {name}:\n{lines}")


def read_scenario(path: str | os.PathLike[str]) -> Scenario:
    """The scenario in a file, named after it unless it says otherwise. Raises InputError."""
    name = os.fspath(path)
    try:
        source = from_file(name)
    except SettingsError as error:
        raise InputError(name, error.problems) from error
    if not isinstance(source.settings, Mapping):
        raise InputError(name, [Problem("", source.settings, "the keys of a scenario", where=name)])
    data: dict[str, Any] = {"name": Path(name).stem, **source.settings}
    settings = data.get("settings")
    found = _found(Scenario, data, source, at=())
    if isinstance(settings, dict):
        own = {key: value for key, value in settings.items() if key.lower() not in OWN}
        found += _found(ServiceSettings, {"endpoints": ["replica:80"], **own}, source, at=("settings",))
    if found:
        raise InputError(name, found)
    return Scenario.model_validate(data)


def lasting(scenario: Scenario, duration: float) -> Scenario:
    """The same for so many seconds. Raises InputError where it cannot be."""
    try:
        return Scenario.model_validate(scenario.model_dump(exclude_unset=True) | {"duration": duration})
    except ValidationError as error:
        raise InputError(scenario.name, problems_of(error, Source({}, scenario.name), Scenario)) from None


def _found(model: type[BaseModel], data: Any, source: Source, *, at: Location) -> list[Problem]:
    """What is wrong with a part of a file."""
    try:
        model.model_validate(data)
    except ValidationError as error:
        if not source.lines:
            text = Path(str(source.name)).read_text(encoding="utf-8")
            source = replace(source, lines=_lines(text, [at + each["loc"] for each in error.errors()]))
        return problems_of(error, source, model, at=at)
    return []


def _lines(text: str, locations: Sequence[Location]) -> dict[Location, int]:
    """Where in a TOML text these places and those above them begin."""
    lines = text.splitlines(keepends=True)
    above = {location[:length] for location in locations for length in range(1, len(location) + 1)}
    found = {spelled(each): _line(lines, each) for each in above}
    return {location: line for location, line in found.items() if line is not None}


def _line(lines: list[str], location: Location) -> int | None:
    """The least number of lines that hold a place, as tomllib tells no lines. In a list over several, its last."""
    low, high = 0, len(lines) + 1
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _holds(_parsed(lines, middle), location) else (middle, high)
    return high if high <= len(lines) else None


def _parsed(lines: list[str], count: int) -> Any:
    """What the first lines say, without the last ones of them that are a part of something."""
    for enough in range(count, 0, -1):
        try:
            return tomllib.loads("".join(lines[:enough]))
        except tomllib.TOMLDecodeError:
            continue
    return {}


def _holds(value: Any, location: Location) -> bool:
    for part in location:
        if isinstance(value, dict):
            value = {key.lower(): each for key, each in value.items()}
            part = str(part).lower()
            if part not in value:
                return False
        elif not isinstance(value, list) or not isinstance(part, int) or part >= len(value):
            return False
        value = value[part]
    return True
