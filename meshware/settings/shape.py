"""What is done to raw settings before the models read them: keys in one case, names in one spelling, defaults spread.

Nothing is refused here: what is wrong is left as it stands, for the models to name it with its path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from meshware.settings.grammar import service_name

SECTIONS = {
    "retry", "budget", "hedge", "ejection", "circuit", "limits", "locality", "tls", "fallback", "static", "last_good",
    "outliers", "rate_limit", "slow", "throttle", "health_check", "http",
}  # fmt: skip
"""Sections of a service's settings that are merged with the defaults' key by key."""

EITHER = {"seconds", "p95s"}, {"http", "tcp", "call"}
"""Keys of a section of which only one can stand: a service's own takes the place of the defaults'."""

CONDITIONS = {"statuses": "retriable-status-codes", "headers": "retriable-headers"}
"""Keys that go with a condition in `on`: who sets one of both does not take another one's other."""

PORTS = ("80", "443")
"""The ports that a name without one stands for."""


class Again(str):
    """A service's name that stands for what an earlier one, `other`, stands for already. Equal to nothing else."""

    __slots__ = ("other",)
    __hash__ = object.__hash__
    __ne__ = object.__ne__

    def __init__(self, name: str, other: str) -> None:
        self.other = other

    def __new__(cls, name: str, other: str) -> Again:
        return super().__new__(cls, name)

    def __eq__(self, other: object) -> bool:
        return self is other


class Among(list[Any]):
    """Routes, with the names of the services among which they choose."""

    def __init__(self, routes: Sequence[Any], services: Any) -> None:
        super().__init__(routes)
        self.names = [name for name in services if isinstance(name, str)] if isinstance(services, Mapping) else []


def plain(data: Any) -> Any:
    """A mapping, or a model's own settings, as a dict whose keys are in lower case; anything else as it is.

    Of two keys that differ in case only, the second keeps its spelling, and so is unknown to the model.
    """
    if isinstance(data, BaseModel):
        return data.model_dump(exclude_unset=True)
    if not isinstance(data, Mapping):
        return data
    lowered = {key: value for key, value in data.items() if not isinstance(key, str) or key == key.lower()}
    for key, value in data.items():
        if isinstance(key, str) and key != key.lower():
            lowered[key if key.lower() in lowered else key.lower()] = value
    return lowered


def several(data: Any) -> Any:
    """One thing, or a list of them, as a list; nothing is an empty one."""
    if data is None:
        return ()
    return data if isinstance(data, list | tuple) else (data,)


def named(services: Mapping[Any, Any]) -> dict[Any, Any]:
    """Services by their names in one spelling; a name that is there already becomes an Again."""
    found: dict[Any, Any] = {}
    owners: dict[str, str] = {}
    for raw, value in services.items():
        try:
            name = service_name(raw)
        except ValueError:
            found[raw] = value
            continue
        claims = _claims(name)
        taken = next((owners[each] for each in claims if each in owners), None)
        owners |= {each: name for each in claims if each not in owners}
        found[name if taken is None else Again(raw, taken)] = value
    return found


def sound(defaults: Any, right: Callable[[str, Any], bool]) -> dict[str, Any]:
    """Defaults that are right by themselves: one that is not is named once, as a default."""
    return {key: value for key, value in plain(defaults).items() if right(key, value)}


def spread(
    defaults: dict[str, Any], services: Mapping[Any, Any], profile: Callable[[Any], dict[str, Any]]
) -> dict[Any, Any]:
    """Each service's own settings over the defaults, and those over what `profile` says of the one that it names."""
    return {name: _over(_over(profile(_profile(each, defaults)), defaults), each) for name, each in services.items()}


def _profile(own: Any, defaults: dict[str, Any]) -> Any:
    settings = plain(own)
    return (settings if isinstance(settings, dict) and "profile" in settings else defaults).get("profile")


def inherited(defaults: dict[Any, Any], own: dict[Any, Any]) -> dict[Any, Any]:
    """What a section takes of the same one of the defaults: under another `mode`, not the `weights` of that one's; and
    nothing in whose place it has something else.
    """
    mode = defaults.get("mode")
    left = set() if own.get("mode", mode) == mode else {"weights"}
    for keys in EITHER:
        if not keys.isdisjoint(own):
            left |= keys
    for key, condition in CONDITIONS.items():  # of a `retry`
        if "on" in own and condition not in several(own["on"]):
            left.add(key)
        elif key in own and condition not in several(defaults.get("on", condition)):
            left.add("on")
    return {key: value for key, value in defaults.items() if key not in left or key in own}


def _over(defaults: dict[str, Any], own: Any) -> Any:
    settings = plain(own)
    if not isinstance(settings, dict):
        return settings
    merged = dict(inherited(defaults, settings))
    for key, value in settings.items():
        below = plain(merged.get(key)) if key in SECTIONS else None
        merged[key] = _over(below, value) if isinstance(below, dict) else value
    return merged


def _claims(name: str) -> list[str]:
    """What a name stands for: its host with its port, or with each default one."""
    return [name] if ":" in name else [f"{name}:{port}" for port in PORTS]
