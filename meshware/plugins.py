"""Entry points: find what is installed, load only what the settings name, refuse a name used twice.

Built-in pieces come through the same door as a third party's. The entry point is a class whose keyword
arguments are its settings.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from meshware.core.errors import PluginError

STRATEGIES = "meshware.strategies"
GROUPS = (
    STRATEGIES,
    "meshware.breakers",
    "meshware.discovery",
    "meshware.observers",
    "meshware.clients",
    "meshware.frameworks",
)


@cache
def installed(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """The entry points of a group by their names; nothing is imported. More than one under a name is an error later."""
    found: dict[str, set[EntryPoint]] = {}
    for point in entry_points(group=group):
        found.setdefault(point.name, set()).add(point)
    return {name: tuple(sorted(points, key=lambda point: point.value)) for name, points in sorted(found.items())}


def strategies() -> frozenset[str]:
    """The names that a service's `strategy` may have."""
    return frozenset(installed(STRATEGIES))


def load(group: str, name: str) -> Any:
    """The object behind a name. Raises PluginError: unknown, used twice, or not importable, and whose it is."""
    points = installed(group).get(name, ())
    if not points:
        known = ", ".join(installed(group)) or "none"
        raise PluginError(f"{group}: no plugin named {name!r} is installed (installed: {known})")
    if len(points) > 1:
        owners = ", ".join(f"{point.value} of {owner(point)}" for point in points)
        raise PluginError(f"{group}: the name {name!r} is used twice: {owners}; uninstall one")
    try:
        return points[0].load()
    except Exception as error:
        raise PluginError(f"{group}: {name!r} of {owner(points[0])} cannot be loaded: {error!r}") from error


def make(group: str, name: str, options: dict[str, Any]) -> Any:
    """An instance of the class behind a name. Raises PluginError when it refuses its settings."""
    kind = load(group, name)
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{group}: {name!r} refuses {options!r}: {error}") from error


def owner(point: EntryPoint) -> str:
    """The distribution that brings an entry point, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"
