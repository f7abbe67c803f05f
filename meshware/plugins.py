"""Entry points: find what is installed, load only what the settings name, refuse a name used twice.

Built-in pieces come through the same door as a third party's. The entry point is a class whose keyword
arguments are its settings. It may say by `meshware_api` which version of the contracts it was written for.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from threading import Lock
from typing import Any

from meshware.core.errors import PluginError

API = 1
"""The version of the contracts in core/policy.py; it grows when one changes so that old plugins would break."""

STRATEGIES = "meshware.strategies"
DISCOVERY = "meshware.discovery"
GROUPS = (
    STRATEGIES,
    "meshware.breakers",
    DISCOVERY,
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


def register(group: str, name: str, kind: type) -> None:
    """Bring a class of one's own without packaging it; before the settings that name it are loaded.

    Raises PluginError for a name that something else has already. The same class again is no error.
    """
    if group not in GROUPS:
        raise PluginError(f"{group!r} is no group of plugins (there are {', '.join(GROUPS)})")
    with _registering:
        other = _registered.get((group, name))
        if name in installed(group) or (other is not None and other is not kind):
            raise PluginError(f"{group}: the name {name!r} is taken already")
        _registered[group, name] = kind


def names(group: str) -> frozenset[str]:
    """The names that settings may use."""
    return frozenset(installed(group)).union(name for where, name in tuple(_registered) if where == group)


def strategies() -> frozenset[str]:
    """The names that a service's `strategy` may have."""
    return names(STRATEGIES)


def load(group: str, name: str) -> Any:
    """The object behind a name. Raises PluginError: unknown, used twice, not importable, for another API; and whose."""
    kind = _found(group, name)
    wanted = getattr(kind, "meshware_api", API)
    if not isinstance(wanted, int) or not 1 <= wanted <= API:
        raise PluginError(
            f"{group}: {_named(group, name)} is written for plugin API {wanted!r}, this meshware has {API}: "
            "install versions of both that go together"
        )
    return kind


def _found(group: str, name: str) -> Any:
    points = installed(group).get(name, ())
    if not points:
        kind = _registered.get((group, name))
        if kind is None:
            known = ", ".join(sorted(names(group))) or "none"
            raise PluginError(f"{group}: no plugin named {name!r} is installed (installed: {known})")
        return kind
    if len(points) > 1:
        owners = ", ".join(f"{point.value} of {owner(point)}" for point in points)
        raise PluginError(f"{group}: the name {name!r} is used twice: {owners}; uninstall one")
    try:
        return points[0].load()
    except Exception as error:
        raise PluginError(f"{group}: {_named(group, name)} cannot be loaded: {error!r}") from error


def make(group: str, name: str, options: dict[str, Any]) -> Any:
    """An instance of the class behind a name. Raises PluginError when it refuses its settings."""
    kind = load(group, name)
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{group}: {_named(group, name)} refuses {options!r}: {error}") from error
    except Exception as error:
        raise PluginError(f"{group}: {_named(group, name)} cannot be made with {options!r}: {error!r}") from error


def strategy(name: str, options: dict[str, Any]) -> Any:
    """A strategy, or a scorer, by its name. Raises PluginError, also for a class that is neither."""
    made = make(STRATEGIES, name, options)
    scores = callable(getattr(made, "score", None)) and hasattr(made, "needs")
    if not scores and not callable(getattr(made, "picker", None)):
        raise PluginError(f"{STRATEGIES}: {_named(STRATEGIES, name)} has neither `picker`, nor `score` and `needs`")
    return made


def discovery(name: str, options: dict[str, Any]) -> Any:
    """A discovery by its name. Raises PluginError, also for a class that is none."""
    made = make(DISCOVERY, name, options)
    if not callable(getattr(made, "fetch", None)) and not callable(getattr(made, "watch", None)):
        raise PluginError(f"{DISCOVERY}: {_named(DISCOVERY, name)} has neither `fetch` nor `watch`")
    return made


def _named(group: str, name: str) -> str:
    """A plugin as a person can find it: its name, its entry point, and the package that brings it."""
    points = installed(group).get(name, ())
    return f"{name!r} ({points[0].value} of {owner(points[0])})" if points else repr(name)


def owner(point: EntryPoint) -> str:
    """The distribution that brings an entry point, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"


_registered: dict[tuple[str, str], type] = {}
_registering = Lock()
