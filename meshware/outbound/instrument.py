"""Automatic mode: every installed client sends mesh names by the mesh, wherever it is called.

A client that the app has not imported is instrumented when it does: one that it never uses costs megabytes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from meshware import plugins
from meshware.mesh import default_mesh
from meshware.outbound.on_import import on_import

if TYPE_CHECKING:
    from meshware.mesh import Mesh

    FindMesh = Callable[[], Mesh | None]


_LOG = logging.getLogger("meshware")


class _Client:
    """A client whose door is the module of its name in this room."""

    name: str

    def find(self) -> ModuleType | None:
        """The client's module; None when it is not installed, or its name is another's alias (`alias_httpx`)."""
        module = _installed(self.name)
        return module if module is not None and module.__name__ == self.name else None

    def there(self) -> bool:
        """Whether `find` would find it; it is not imported for that."""
        waits = self.name not in sys.modules
        return find_spec(self.name) is not None if waits else self.find() is not None

    def instrument(self, find_mesh: FindMesh) -> None:
        """Send mesh names by the mesh that `find_mesh` gives at the time of each call, from the client's import on.

        Idempotent.
        """
        if self.name in sys.modules:
            import_module(self._door).instrument(find_mesh)
            return
        _wanted[self.name] = find_mesh
        if self.name not in _awaited:
            _awaited.add(self.name)
            # Two steps, for the app may import the door, which imports the client before it is complete itself.
            on_import(self.name, self._imported)
            on_import(self._door, self._complete)

    def uninstrument(self) -> None:
        """Undo it; calls under way end as they would. Idempotent."""
        _wanted.pop(self.name, None)
        if self._door in sys.modules:
            sys.modules[self._door].uninstrument()

    @property
    def _door(self) -> str:
        return f"meshware.outbound.{self.name}"

    def _imported(self) -> None:
        """The app has imported the client."""
        try:
            if self.name in _wanted:
                import_module(self._door)
        except Exception as error:  # the app's import must not fail for it
            _LOG.error("%s is not instrumented: %r", self.name, error)

    def _complete(self) -> None:
        """So is the door."""
        find_mesh = _wanted.pop(self.name, None)
        if find_mesh is not None:
            sys.modules[self._door].instrument(find_mesh)


class RequestsClient(_Client):
    """The `requests` library: every HTTPAdapter of the process, sessions made earlier included."""

    name = "requests"


class HttpxClient(_Client):
    """httpx: every Client and AsyncClient of the process, those made earlier included."""

    name = "httpx"


class Httpx2Client(_Client):
    """httpx2: the same."""

    name = "httpx2"


def instrument(find_mesh: FindMesh = default_mesh) -> tuple[str, ...]:
    """Instrument the clients that are installed, for the whole process; gives their names.

    One that is not imported yet is instrumented when it is; a plugin's at once. `find_mesh` is asked at each call, on
    the calling thread. Idempotent: the last `find_mesh` counts.
    """
    names = []
    for name, client in _clients():
        client.instrument(find_mesh)
        names.append(name)
    return tuple(names)


def uninstrument() -> None:
    """Undo `instrument`: the clients are what they were. Idempotent."""
    for _, client in _clients():
        client.uninstrument()


def _clients() -> Iterator[tuple[str, Any]]:
    for name in plugins.installed(plugins.CLIENTS):
        client = plugins.make(plugins.CLIENTS, name, {})
        if client.there() if isinstance(client, _Client) else client.find() is not None:
            yield name, client


def _installed(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


_wanted: dict[str, FindMesh] = {}
"""The clients that are to be instrumented once they are imported, and by which mesh."""

_awaited: set[str] = set()
"""Those whose import will be told."""
