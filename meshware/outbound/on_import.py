"""Something to be done when a module is imported, by whoever imports it first.

Every Python that `meshware run` starts loads this, so it takes milliseconds: `importlib.abc` alone would be ten.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


def on_import(name: str, action: Callable[[], None]) -> None:
    """Call `action` once the top-level module `name` has been imported: now, if it was already.

    On the importing thread, with the module complete, before the import statement gives it. It must not raise.
    """
    if name in sys.modules:
        action()
    else:
        sys.meta_path.insert(0, _Waiting(name, action))


class _Waiting:
    """Finds the module as the others do; its loader then tells. Leaves when the module is there."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self._name = name
        self._action = action

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The others' spec; None for any other module."""
        if fullname != self._name:
            return None
        others = [each for each in sys.meta_path if each is not self]
        found = (each.find_spec(fullname, path, target) for each in others)
        spec = next((each for each in found if each is not None), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            telling: Any = _Telling(spec.loader, self._imported)
            spec.loader = telling
        return spec

    def _imported(self) -> None:
        # A new list: another thread that walks the old one would miss a finder if one before it went away.
        sys.meta_path = [each for each in sys.meta_path if each is not self]
        self._action()


class _Telling:
    """The loader in all but this: it tells when it has run the module."""

    def __init__(self, loader: Any, told: Callable[[], None]) -> None:
        self._loader = loader
        self._told = told

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the loader does."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """As the loader does; the module never knows that there was another."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._told()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)
