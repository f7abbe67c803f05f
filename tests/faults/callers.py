"""requests, httpx2 and httpx under one face, sync, so that a fault is written once for all three."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from meshware.mesh import Mesh

LIBRARIES = ("requests", "httpx2", "httpx")


class Caller:
    """One client of one library, whose mesh names go by that mesh. `error`: what it raises for a broken exchange."""

    def __init__(self, library: str, mesh: Mesh) -> None:
        self.library = import_module(library)
        door = import_module(f"meshware.outbound.{library}")
        self.sends_by_data = library == "requests"
        if self.sends_by_data:
            self.client = self.library.Session()
            self.client.mount("http://", door.MeshAdapter(mesh))
            self.error: type[Exception] = self.library.RequestException
        else:
            self.client = self.library.Client(transport=door.MeshTransport(mesh))
            self.error = self.library.TransportError

    def ask(self, method: str, url: str, body: Any = None, **options: Any) -> Any:
        """The whole answer."""
        if body is not None:
            options["data" if self.sends_by_data else "content"] = body
        return self.client.request(method, url, **options)

    def get(self, url: str, **options: Any) -> Any:
        """The whole answer to a GET."""
        return self.ask("GET", url, **options)

    def end(self) -> None:
        """Close it."""
        self.client.close()
