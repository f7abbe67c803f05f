"""The seams of httpx and httpx2: transports to mount, and every client at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from meshware.mesh import default_mesh
from meshware.outbound.httpx_call import AsyncCall, SyncCall
from meshware.outbound.httpx_ways import Way, pools_of, way_of
from meshware.outbound.patch import Patch

if TYPE_CHECKING:
    from meshware.core.service import Service
    from meshware.mesh import Mesh
    from meshware.outbound.httpx_library import Library

FindMesh = Callable[[], "Mesh | None"]


class Meshed:
    """What the seam gives a client for one request."""

    def __init__(self, library: Library, way: Way, mesh: Mesh, service: Service) -> None:
        self._facts = library, way, mesh, service

    def handle_request(self, request: Any) -> Any:
        """Send it by the mesh."""
        return SyncCall(*self._facts, request).run()

    async def handle_async_request(self, request: Any) -> Any:
        """Send it by the mesh."""
        return await AsyncCall(*self._facts, request).run()


class Door:
    """What the transports to mount have in common; mixed with the client's own base class.

    `mesh` is used for every call; without it the context's mesh, or the process's default one. `transport` is the
    client's own kind, whose settings (HTTP/2, limits, verification) hold for the connections to endpoints too, and
    which takes the names that the mesh does not know. Limits are per endpoint. Thread-safe as far as that one is.
    """

    _library: Library

    def __init__(self, mesh: Mesh | None = None, *, transport: Any = None) -> None:
        self.mesh = mesh
        self._inner = self._default() if transport is None else transport

    def _default(self) -> Any:
        raise NotImplementedError

    def _leading(self, request: Any) -> Any:
        mesh = self.mesh or default_mesh()
        found = None if mesh is None else self._library.find(mesh, request.url)
        if mesh is None or found is None:
            return self._inner
        way = way_of(self._library, self._inner, *found)
        return self._inner if way is None else Meshed(self._library, way, mesh, found[0])


class SyncDoor(Door):
    """For sync clients."""

    def _default(self) -> Any:
        return self._library.module.HTTPTransport()

    def handle_request(self, request: Any) -> Any:
        """Send by the mesh where the name is the mesh's, else as the inner transport does."""
        return self._leading(request).handle_request(request)

    def close(self) -> None:
        """Close all connections, the endpoints' too."""
        self._inner.close()


class AsyncDoor(Door):
    """For async clients."""

    def _default(self) -> Any:
        return self._library.module.AsyncHTTPTransport()

    async def handle_async_request(self, request: Any) -> Any:
        """Send by the mesh where the name is the mesh's, else as the inner transport does."""
        return await self._leading(request).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections, the endpoints' too."""
        await self._inner.aclose()


class Seam:
    """Automatic mode for one library: its clients ask, for each request, which transport leads to its URL."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._find_mesh: FindMesh | None = None
        self._patches = [self._patch(kind) for kind in (library.module.Client, library.module.AsyncClient)]

    def instrument(self, find_mesh: FindMesh) -> None:
        """Have every client of the process send mesh names by the mesh that `find_mesh` gives at the time."""
        self._find_mesh = find_mesh
        for patch in self._patches:
            patch.put()

    def uninstrument(self) -> None:
        """Undo it."""
        self._find_mesh = None
        for patch in self._patches:
            patch.take_back()

    def _patch(self, kind: Any) -> Patch:
        library = self._library

        def transport_for_url(client: Any, url: Any) -> Any:
            transport, find_mesh = patch.under(client, url), self._find_mesh
            mesh = None if find_mesh is None or isinstance(transport, Door | Meshed) else find_mesh()
            found = None if mesh is None else library.find(mesh, url)
            if mesh is None or found is None or _mounted(client, url, transport):
                return transport
            if isinstance(transport, type(client._transport)) and pools_of(library, transport) is None:
                transport = client._transport  # a proxy from the environment is for strangers
            way = way_of(library, transport, *found)
            return transport if way is None else Meshed(library, way, mesh, found[0])

        patch = Patch(kind, "_transport_for_url", transport_for_url)
        return patch


def _mounted(client: Any, url: Any, transport: Any) -> bool:
    """Whether the user has mounted a transport for this very host: that is left alone."""
    return any(mounted is transport and pattern.host == url.host for pattern, mounted in client._mounts.items())
