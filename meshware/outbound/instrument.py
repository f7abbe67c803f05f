"""Automatic mode: every installed client sends mesh names by the mesh, wherever it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from meshware import plugins
from meshware.mesh import default_mesh

if TYPE_CHECKING:
    from meshware.mesh import Mesh

    FindMesh = Callable[[], Mesh | None]


class _Client:
    """A client whose door is the module of its name in this room."""

    name: str

    def find(self) -> ModuleType | None:
        """The client's module; None when it is not installed, or its name is another's alias (`alias_httpx`)."""
        module = _installed(self.name)
        return module if module is not None and module.__name__ == self.name else None

    def instrument(self, find_mesh: FindMesh) -> None:
        """Send mesh names by the mesh that `find_mesh` gives at the time of each call. Idempotent."""
        self._door().instrument(find_mesh)

    def uninstrument(self) -> None:
        """Undo it; calls under way end as they would. Idempotent."""
        self._door().uninstrument()

    def _door(self) -> Any:
        return import_module(f"meshware.outbound.{self.name}")


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

    `find_mesh` is asked at each call, on the calling thread. Idempotent: the last `find_mesh` counts.
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
        if client.find() is not None:
            yield name, client


def _installed(name: str) -> ModuleType | None:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None
