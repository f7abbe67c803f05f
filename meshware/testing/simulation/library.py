"""The scenarios that come with meshware, by their names; and what a user's words stand for."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

from meshware.core.errors import Problem
from meshware.settings.files import is_file
from meshware.settings.references import nearest
from meshware.testing.simulation.draw import drawn
from meshware.testing.simulation.file import InputError, read_scenario
from meshware.testing.simulation.scenario import Scenario

TEN = (
    "homogeneous", "heavy", "bimodal", "bursty", "heterogeneous", "slow10x", "slow3x", "sinkhole", "gray30", "stall",
)  # fmt: skip
"""Those that a strategy is judged by: five fleets without a fault, five with one."""

_FOLDER = files("meshware.testing.simulation") / "scenarios"
_DRAWN = re.compile(r"drawn:([0-9]{1,18})", re.ASCII)


def names() -> list[str]:
    """Of all built-in scenarios."""
    return sorted(each.name.removesuffix(".toml") for each in _FOLDER.iterdir() if each.name.endswith(".toml"))


def built_in(name: str) -> Scenario:
    """A built-in scenario. Raises KeyError for a name that there is not."""
    if name not in names():
        raise KeyError(name)
    file = _FOLDER / f"{name}.toml"
    return Scenario.model_validate({"name": name, **tomllib.loads(file.read_text(encoding="utf-8"))})


def find(text: str) -> Scenario:
    """A built-in scenario by its name, a user's by its path, a random one by `drawn:SEED`. Raises InputError."""
    if is_file(text):
        return read_scenario(text)
    if found := _DRAWN.fullmatch(text):
        return drawn(int(found[1]))
    known = names()
    if text not in known:
        expected = f"a .toml file, drawn:SEED, or one of {', '.join(known)}"
        raise InputError("the scenarios", [Problem("scenario", text, expected, nearest(text, known))])
    return built_in(text)
