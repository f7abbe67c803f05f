"""The adapters to mount, and where each endpoint's connections are: an adapter of niquests' own for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from niquests.adapters import AsyncHTTPAdapter, HTTPAdapter

from meshware.mesh import default_mesh
from meshware_niquests.calls import AsyncCall, SyncCall
from meshware_niquests.dialling import AsyncDialler, Dialler

if TYPE_CHECKING:
    import niquests

    from meshware.core.endpoint import Endpoint
    from meshware.core.service import Service
    from meshware.mesh import Mesh

MOST = 1000
"""Endpoints for which an adapter keeps connections; beyond, all are begun anew."""

_KEPT = ("pool_connections", "pool_maxsize", "pool_block", "disable_http1", "disable_http2", "disable_http3")
_TLS_NAMES = ("server_hostname", "assert_hostname")  # what is asked for, and what the certificate must be for


class Pools:
    """niquests' adapters by name and endpoint; each resolves every name to its endpoint."""

    def __init__(self, adapter: Any) -> None:
        self._options = {name: getattr(adapter, f"_{name}") for name in _KEPT}
        self._async = isinstance(adapter, AsyncHTTPAdapter)
        self._known: dict[Any, Any] = {}

    def to(self, url: SplitResult, endpoint: Endpoint, server_name: str | None) -> Any:
        """The adapter whose connections go to this endpoint, under this name; `server_name`: TLS's, if another."""
        key = url.scheme, url.netloc, endpoint.address, server_name
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MOST:
                self._known.clear()
            kind, dialler = (AsyncHTTPAdapter, AsyncDialler) if self._async else (HTTPAdapter, Dialler)
            made = kind(**self._options, max_retries=0, resolver=dialler(endpoint.host, endpoint.port))
            made._meshware_inner = True
            if server_name is not None:
                made.poolmanager.connection_pool_kw |= dict.fromkeys(_TLS_NAMES, server_name)
            found = self._known.setdefault(key, made)
        return found

    def all(self) -> list[Any]:
        """Every adapter, for the caller to close."""
        known, self._known = self._known, {}
        return list(known.values())


def service_of(mesh: Mesh | None, url: SplitResult) -> Service | None:
    """The service of a URL; userinfo and percent signs are never part of a name."""
    if mesh is None or "@" in url.netloc or "%" in url.netloc or not url.hostname:
        return None
    try:
        return mesh.find(url.scheme, url.hostname, url.port)
    except ValueError:
        return None  # a port that is none: niquests says so itself


def pools_of(adapter: Any) -> Pools:
    """The endpoint adapters of an adapter, made when first asked for."""
    found: Pools = adapter.__dict__.get("_meshware_pools") or adapter.__dict__.setdefault(
        "_meshware_pools", Pools(adapter)
    )
    return found


class MeshAdapter(HTTPAdapter):  # type: ignore[misc]
    """`session.mount("http://", MeshAdapter())`. Takes HTTPAdapter's arguments.

    `mesh` is used for every call; without it the context's mesh, or the process's default one.
    """

    def __init__(self, mesh: Mesh | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.mesh = mesh

    def send(self, request: niquests.PreparedRequest, *args: Any, **options: Any) -> Any:
        """Send by the mesh where the name is the mesh's, else as HTTPAdapter does."""
        mesh, url = self.mesh or default_mesh(), urlsplit(str(request.url))
        service = service_of(mesh, url)
        if mesh is None or service is None:
            return super().send(request, *args, **options)
        return SyncCall(self, pools_of(self), mesh, service, request, url, **options).run()

    def close(self) -> None:
        """Close all connections, the endpoints' too."""
        super().close()
        for each in pools_of(self).all():
            each.close()


class AsyncMeshAdapter(AsyncHTTPAdapter):  # type: ignore[misc]
    """The same for AsyncSession."""

    def __init__(self, mesh: Mesh | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.mesh = mesh

    async def send(self, request: niquests.PreparedRequest, *args: Any, **options: Any) -> Any:
        """Send by the mesh where the name is the mesh's, else as AsyncHTTPAdapter does."""
        mesh, url = self.mesh or default_mesh(), urlsplit(str(request.url))
        service = service_of(mesh, url)
        if mesh is None or service is None:
            return await super().send(request, *args, **options)
        return await AsyncCall(self, pools_of(self), mesh, service, request, url, **options).run()

    async def close(self) -> None:
        """Close all connections, the endpoints' too."""
        await super().close()
        for each in pools_of(self).all():
            await each.close()
