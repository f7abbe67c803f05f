"""The scenarios that come with meshware, by their names."""

from __future__ import annotations

import tomllib
from importlib.resources import files

from meshware.testing.simulation.scenario import Scenario

_FOLDER = files("meshware.testing.simulation") / "scenarios"


def names() -> list[str]:
    """Of all built-in scenarios."""
    return sorted(each.name.removesuffix(".toml") for each in _FOLDER.iterdir() if each.name.endswith(".toml"))


def built_in(name: str) -> Scenario:
    """A built-in scenario. Raises KeyError for a name that there is not."""
    file = _FOLDER / f"{name}.toml"
    if not file.is_file():
        raise KeyError(name)
    return Scenario.model_validate({"name": name, **tomllib.loads(file.read_text(encoding="utf-8"))})
