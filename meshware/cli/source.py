"""What a user points at on the command line, a file, `module` or `module:name`, and the settings it holds."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from inspect import isfunction
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

import click

from meshware.core.errors import Problem, SettingsError
from meshware.mesh import Mesh
from meshware.settings.environment import is_override, overridden
from meshware.settings.files import from_file, is_file
from meshware.settings.origin import Source
from meshware.settings.schema import MeshSettings
from meshware.settings.sources import from_flask

DICT = "MESHWARE"
"""The name that is looked for when none is given."""


VARIABLE = "MESHWARE_SETTINGS"
"""The environment variable that is looked at when nothing is pointed at."""


def chosen(source: str | None) -> Source:
    """What SOURCE points at, or else MESHWARE_SETTINGS, with the environment's overrides above it.

    Without both, the overrides may be all that there is. The current directory is importable from now on.
    Raises SettingsError, as `find`; UsageError when nothing says where to look.
    """
    here_is_importable()
    if source is None:
        source = os.environ.get(VARIABLE) or None
    if source is None:
        needs_overrides()
    return overridden(Source({}) if source is None else find(source), os.environ)


def here_is_importable() -> None:
    """Have modules in the current directory found first, as they are by `python -m`."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def needs_overrides() -> None:
    """Raises UsageError where the environment has no settings of its own: then nothing says where to look."""
    if not any(map(is_override, os.environ)):
        close = get_close_matches(VARIABLE, [each for each in os.environ if each.startswith("MESH")], n=1)
        hint = f" (you have set {close[0]})" if close else ""
        raise click.UsageError(f"no settings: name them, or set {VARIABLE}{hint}")


def find(source: str) -> Source:
    """The settings in a file, at `module` or `module:name`, of an app there, or of the app that a function there makes.

    Raises SettingsError: there are none, the module fails, or an app made in it is refused its settings.
    """
    return from_file(source) if is_file(source) else Source(_settings(source), source)


def _settings(source: str) -> Mapping[str, Any] | MeshSettings:
    module_name, _, name = source.partition(":")
    found = _named(_run("a module that can be imported", source, lambda: import_module(module_name)), name or DICT)
    if isfunction(found):
        found = _run("a function that makes an app", source, found)
    mesh = getattr(found, "mesh", None) or getattr(found, "extensions", {}).get("meshware")
    if isinstance(mesh, Mesh):
        return mesh.settings
    config = getattr(found, "config", None)
    if isinstance(config, Mapping):
        return from_flask(config)
    if isinstance(found, Mapping | MeshSettings):
        return found
    raise SettingsError([Problem("", found, f"a dict of settings or an app, under {source!r}")])


def _run(expected: str, source: str, code: Callable[[], Any]) -> Any:
    """The user's own code: what it raises is a problem with the source. Problems that it found stay themselves."""
    try:
        return code()
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError([Problem("", source, f"{expected} ({_reason(error)})")]) from error


def _reason(error: Exception) -> str:
    """What was raised, and the user's own line, not the library's below it; some say it all by themselves."""
    if isinstance(error, ImportError | SyntaxError):
        return str(error)
    frames = extract_tb(error.__traceback__)
    own = [each for each in frames if Path(each.filename).is_relative_to(Path.cwd())] or frames
    return f"{type(error).__name__}: {error}, at {own[-1].filename}:{own[-1].lineno}"


def _named(module: ModuleType, name: str) -> Any:
    if hasattr(module, name):
        return getattr(module, name)
    close = get_close_matches(name, vars(module), n=1)
    raise SettingsError([Problem("", f"{module.__name__}:{name}", f"a name in {module.__name__}", *close)])
