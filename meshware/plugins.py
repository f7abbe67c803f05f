"""Entry points: find what is installed, load only what the settings name, refuse a name used twice.

Built-in pieces come through the same door as a third party's. The entry point is a class whose keyword
arguments are its settings. It may say by `meshware_api` which version of the contracts it was written for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from threading import Lock
from typing import Any, TypeVar

from meshware.core.errors import PluginError
from meshware.core.policy import Observer

API = 1
"""The version of the contracts in core/policy.py; it grows when one changes so that old plugins would break."""

STRATEGIES = "meshware.strategies"
BREAKERS = "meshware.breakers"
DISCOVERY = "meshware.discovery"
OBSERVERS = "meshware.observers"
CLIENTS = "meshware.clients"
FRAMEWORKS = "meshware.frameworks"
GROUPS = (STRATEGIES, BREAKERS, DISCOVERY, OBSERVERS, CLIENTS, FRAMEWORKS)


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
            from difflib import get_close_matches

            known = sorted(names(group))
            meant = "".join(f"; did you mean {each!r}?" for each in get_close_matches(name, known, n=1))
            installed_ones = ", ".join(known) or "none"
            raise PluginError(f"{group}: no plugin named {name!r} is installed (installed: {installed_ones}){meant}")
        return kind
    if len(points) > 1:
        owners = ", ".join(f"{point.value} of {owner(point)}" for point in points)
        raise PluginError(f"{group}: the name {name!r} is used twice: {owners}; uninstall one")
    try:
        return points[0].load()
    except Exception as error:
        raise PluginError(f"{group}: {_named(group, name)} cannot be loaded: {error!r}") from error


def make(group: str, name: str, options: dict[str, Any], **handed: Any) -> Any:
    """An instance of the class behind a name. Raises PluginError when it refuses its settings.

    `handed`: further keywords, which are no settings.
    """
    kind = load(group, name)
    try:
        return kind(**options, **handed)
    except PluginError:  # of a part
        raise
    except (TypeError, ValueError) as error:
        raise PluginError(f"{group}: {_named(group, name)} refuses {options!r}: {error}") from error
    except Exception as error:
        raise PluginError(f"{group}: {_named(group, name)} cannot be made with {options!r}: {error!r}") from error


P = TypeVar("P", bound=Callable[..., object])


def predicate(name: str) -> Callable[[P], P]:
    """`@meshware.predicate("beta")`: have routes know a function by this name; before the settings are loaded.

    It is called as `function(context, request)` on the call's thread or task, with the request context in force or
    None, and must not block; what it gives, taken as true or false, says whether the route is for the call. Raises
    PluginError for a name that another function has, unless that is the same one of a module that was loaded anew.
    """

    def known(function: P) -> P:
        with _registering:
            other = _predicates.setdefault(name, function)
            if (other.__module__, other.__qualname__) != (function.__module__, function.__qualname__):
                raise PluginError(f"the predicate {name!r} is {other.__qualname__} of {other.__module__} already")
            _predicates[name] = function
        return function

    return known


def predicates() -> Mapping[str, Callable[..., object]]:
    """The predicates that routes may name."""
    return _predicates


def choice(written: Any) -> Any:
    """A plugin and its options, however written: `name`, `{name: options}`, or `{"name": name, "options": options}`."""
    if isinstance(written, str):
        return {"name": written}
    if isinstance(written, Mapping) and len(written) == 1 and str(next(iter(written))).lower() != "name":
        ((name, options),) = written.items()
        return {"name": name, "options": {} if options is None else options}
    return written


def strategy(name: str, options: dict[str, Any]) -> Any:
    """A strategy, or a scorer, by its name. Raises PluginError, also for a class that is neither.

    A class that says `composes = True` gets the keyword `make`: a function that makes a strategy or scorer from a
    choice as settings write it. What it made is to be found in its attribute `parts`.
    """
    handed = {"make": part} if getattr(load(STRATEGIES, name), "composes", False) else {}
    made = make(STRATEGIES, name, options, **handed)
    scores = _can(made, "score") and hasattr(made, "needs")
    if not scores and not _can(made, "picker"):
        raise PluginError(f"{STRATEGIES}: {_named(STRATEGIES, name)} has neither `picker`, nor `score` and `needs`")
    return made


def part(written: Any) -> Any:
    """A strategy, or a scorer, within another. Raises PluginError, also for what is no choice of one."""
    chosen = choice(written)
    name, options = (chosen.get("name"), chosen.get("options", {})) if isinstance(chosen, Mapping) else (None, None)
    if not isinstance(name, str) or not isinstance(options, dict):
        raise PluginError(f"{STRATEGIES}: a name or {{name: {{options}}}} is expected, not {written!r}")
    return strategy(name, options)


def whole(made: Any) -> Iterator[Any]:
    """A strategy, and those that it is composed of."""
    yield made
    for each in getattr(made, "parts", ()):
        yield from whole(each)


def discovery(name: str, options: dict[str, Any]) -> Any:
    """A discovery by its name. Raises PluginError, also for a class that is none."""
    made = make(DISCOVERY, name, options)
    if not _can(made, "fetch") and not _can(made, "watch"):
        raise PluginError(f"{DISCOVERY}: {_named(DISCOVERY, name)} has neither `fetch` nor `watch`")
    return made


def breaker(name: str, options: dict[str, Any]) -> Any:
    """A breaker by its name, a new one each time. Raises PluginError, also for a class that is none."""
    made = make(BREAKERS, name, options)
    missing = [each for each in ("admit", "record", "release", "until") if not _can(made, each)]
    if missing:
        raise PluginError(f"{BREAKERS}: {_named(BREAKERS, name)} has no `{'`, `'.join(missing)}`")
    return made


def observer(name: str, options: dict[str, Any]) -> Any:
    """An observer by its name. Raises PluginError, also for a class that is none."""
    made = make(OBSERVERS, name, options)
    hooks = [each for each in vars(Observer) if each.startswith("on_")]
    if not any(_can(made, each) for each in hooks):
        raise PluginError(f"{OBSERVERS}: {_named(OBSERVERS, name)} has none of `{'`, `'.join(hooks)}`")
    return made


def _can(made: Any, method: str) -> bool:
    return callable(getattr(made, method, None))


def _named(group: str, name: str) -> str:
    """A plugin as a person can find it: its name, its entry point, and the package that brings it."""
    points = installed(group).get(name, ())
    return f"{name!r} ({points[0].value} of {owner(points[0])})" if points else repr(name)


def owner(point: EntryPoint) -> str:
    """The distribution that brings an entry point, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "an unknown package"


_registered: dict[tuple[str, str], type] = {}
_predicates: dict[str, Callable[..., object]] = {}
_registering = Lock()
