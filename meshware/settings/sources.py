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
    module_name, _, name = path.partition(":")
    name = name or "MESHWARE"
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise SettingsError([Problem("", path, f"a module that can be imported ({error})")]) from error
    settings = getattr(module, name, None)
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
