"""Breaks our own functions, one after another: which ones calls use is found by watching, not by a list."""

from __future__ import annotations

import inspect
import pkgutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import CodeType
from typing import Any, NamedTuple

ROOMS = ("balancing", "breaking", "retrying", "limiting", "health")
"""The rooms whose every function may fail without a call noticing."""


class Broken(Exception):
    """What a broken function raises."""


class Place(NamedTuple):
    """A function or method of a room: where it lives, and by which name."""

    owner: Any
    name: str

    @property
    def label(self) -> str:
        module = (
            self.owner.__name__ if inspect.ismodule(self.owner) else f"{self.owner.__module__}.{self.owner.__name__}"
        )
        return f"{module.removeprefix('meshware.')}.{self.name}"


def places(room: str) -> Iterator[Place]:
    """Every function and method that a room defines."""
    package = import_module(f"meshware.{room}")
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        module = import_module(found.name)
        for name, each in list(vars(module).items()):
            if getattr(each, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(each):
                yield Place(module, name)
            elif inspect.isclass(each):
                yield from (Place(each, name) for name, part in list(vars(each).items()) if written(part, module))


def written(part: Any, module: Any) -> bool:
    """Whether it is code of this module, and not what Python has made for a class."""
    code = code_of(part)
    return code is not None and code.co_filename == module.__file__


def code_of(part: Any) -> CodeType | None:
    """The code of a function, however it is wrapped."""
    inner = part.fget if isinstance(part, property) else getattr(part, "__func__", part)
    return inner.__code__ if inspect.isfunction(inner) else None


@contextmanager
def watching() -> Iterator[set[CodeType]]:
    """Collects the code of all that runs, on whichever thread begins meanwhile, and on this one."""
    seen: set[CodeType] = set()

    def watch(frame: Any, event: str, _argument: object) -> None:
        if event == "call":
            seen.add(frame.f_code)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def used(room: str, seen: set[CodeType]) -> list[Place]:
    """Those of a room that have run."""
    return [each for each in places(room) if code_of(vars(each.owner)[each.name]) in seen and not finalized(each)]


def finalized(place: Place) -> bool:
    """A finalizer's errors go nowhere, and one of what is half made always fails: Python's affair."""
    return place.name in ("__init__", "__del__") and "__del__" in vars(place.owner)


@contextmanager
def broken(place: Place) -> Iterator[list[Broken]]:
    """The function raises, by whatever name it is known; yields what it raised."""
    raised: list[Broken] = []

    def fail(*_args: object, **_named: object) -> None:
        raised.append(Broken(place.label))
        raise raised[-1]

    original = vars(place.owner)[place.name]
    wrap = type(original) if isinstance(original, property | staticmethod | classmethod) else None
    homes = [place.owner] if inspect.isclass(place.owner) else knowing(original)
    for home in homes:
        setattr(home, place.name, wrap(fail) if wrap else fail)
    try:
        yield raised
    finally:
        for home in homes:
            setattr(home, place.name, original)


def knowing(function: Any) -> list[Any]:
    """The modules that have imported a function by its name."""
    name = function.__name__
    modules = [each for key, each in list(sys.modules.items()) if key.startswith("meshware")]
    return [each for each in modules if vars(each).get(name) is function]
