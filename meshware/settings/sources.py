"""Where settings come from: a module, a Flask app or its config. Each gives a plain mapping."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from meshware.core.errors import Problem, SettingsError


def from_module(path: str) -> Mapping[str, Any]:
    """`shop.mesh` (its `MESHWARE`), `shop.mesh:NAME`, or `shop.app:app` for a Flask app's config.

    Raises SettingsError when there is none.
    """
    name = path.partition(":")[2] or "MESHWARE"
    settings = imported(path, name)
    config = getattr(settings, "config", None)
    if isinstance(config, Mapping):
        return from_flask(config)
    if not isinstance(settings, Mapping):
        raise SettingsError([Problem("", path, f"a module with a dict named {name}")])
    return settings


def from_flask(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """`app.config["MESHWARE"]`, one dict. Raises SettingsError when it is missing."""
    settings = config.get("MESHWARE")
    if not isinstance(settings, Mapping):
        raise SettingsError([Problem("MESHWARE", settings, 'a dict under app.config["MESHWARE"]')])
    return settings


def from_django(settings: Any) -> Mapping[str, Any]:
    """`MESHWARE` of Django's settings object, one dict. Raises SettingsError when it is missing."""
    given = getattr(settings, "MESHWARE", None)
    if not isinstance(given, Mapping):
        raise SettingsError([Problem("MESHWARE", given, "a dict named MESHWARE in Django's settings")])
    return given


def imported(path: str, name: str | None = None) -> Any:
    """What stands at `module:name`; None when the module has no such name.

    Raises SettingsError when the module cannot be imported, whatever it raises.
    """
    module_name, _, own = path.partition(":")
    try:
        module = import_module(module_name)
    except Exception as error:
        raise SettingsError([Problem("", path, f"a module that can be imported ({error!r})")]) from error
    return getattr(module, name or own, None)
