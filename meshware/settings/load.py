"""From a source to settings, or to one SettingsError with every problem, its path and the nearest right name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from meshware.core.errors import Problem, SettingsError
from meshware.settings.environment import overridden
from meshware.settings.files import from_file, is_file
from meshware.settings.origin import Source
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
    if is_file(source):
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
        from meshware.settings.problems import problems_of

        problems += problems_of(error, source, MeshSettings)
    if problems:
        raise SettingsError(problems)
    return settings
