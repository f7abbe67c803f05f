"""What httpx and httpx2 have in common: the seam, the kinds of errors, and which transport leads to an endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from meshware.core.errors import MeshError
from meshware.core.outcome import Cause
from meshware.mesh import default_mesh
from meshware.outbound.errors import LOCAL_ERRNOS, chain, twin
from meshware.outbound.exchange import Limits, finite
from meshware.outbound.httpx_call import AsyncBody, AsyncCall, SyncBody, SyncCall
from meshware.outbound.httpx_pools import Pools, close_along, closed, swept
from meshware.outbound.httpx_wire import Wire

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.service import Service
    from meshware.mesh import Mesh

FindMesh = Callable[[], "Mesh | None"]

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Library:
    """One of the two clients: its module, its httpcore, and our errors as its own (`kinds`)."""

    def __init__(self, module: ModuleType, kinds: Mapping[type[MeshError], Any]) -> None:
        self.module: Any = module
        self.core: ModuleType = import_module(module.__name__.replace("httpx", "httpcore"))
        self.failures: Any = (self.module.TransportError,)
        self._kinds = kinds
        self._usual = self.module.Timeout(5.0).as_dict()
        self._seams: dict[Any, Any] = {}

    @cached_property
    def sync_body(self) -> Any:
        """The class of a watched body."""
        return type("Body", (SyncBody, self.module.SyncByteStream), {})

    @cached_property
    def async_body(self) -> Any:
        """The class of a watched async body."""
        return type("Body", (AsyncBody, self.module.AsyncByteStream), {})

    # The request

    def find(self, mesh: Mesh, url: Any) -> Service | None:
        """The service of this URL; userinfo is never part of a name."""
        scheme = _SCHEMES.get(url.scheme)
        if scheme is None or url.userinfo:
            return None
        return mesh.find(scheme, url.raw_host.decode("ascii"), url.port)

    def limits(self, request: Any) -> Limits:
        """The caller's own timeouts; 5 s each is what the library sets when nobody does."""
        said: dict[str, float | None] = request.extensions.get("timeout", {})
        if not said or said == self._usual:
            return _NO_LIMITS
        connect, read = finite(said.get("connect")), finite(said.get("read"))
        if connect is None or read is None:
            return Limits(connect, read)
        return Limits(connect, read, read if len(set(said.values())) == 1 else connect + read)

    def replayable(self, stream: Any) -> bool:
        """Whether a body can be sent again: bytes can, forms and files that can be wound back too."""
        if isinstance(stream, self.module.ByteStream):
            return True
        fields = getattr(stream, "fields", None)
        return fields is not None and all(_rewinds(each) for each in fields)

    def copied(self, request: Any, headers: Mapping[str, str], extensions: dict[str, Any]) -> Any:
        """The same request with other headers and extensions; nothing is parsed or encoded again."""
        made, given = object.__new__(type(request)), request.headers
        mine = self.module.Headers(given, given.encoding)
        for name, value in headers.items():
            mine[name] = value
        made.__dict__.update(request.__dict__, headers=mine, extensions=extensions)
        return made

    # Errors

    def twin(self, error: MeshError, request: Any) -> Exception:
        """The same error as one of the client's."""
        return twin(error, self._kinds, _request=request)

    def cause_of(self, error: BaseException, wire: Wire) -> Cause:
        """Why an attempt has no answer."""
        if wire.fired:
            return Cause.TIMEOUT if wire.dialled or wire.sent else Cause.LOCAL
        for each in chain(error):
            if isinstance(each, OSError) and each.errno in LOCAL_ERRNOS:
                return Cause.LOCAL
            if isinstance(each, ConnectionRefusedError):
                return Cause.RESET if wire.sent else Cause.REFUSED
        if not wire.sent and not isinstance(error, self._local):
            return Cause.CONNECT_TIMEOUT if isinstance(error, self.module.TimeoutException) else Cause.CONNECT
        return next((cause for kind, cause in self._meaning if isinstance(error, kind)), Cause.RESET)

    @cached_property
    def _local(self) -> tuple[Any, ...]:
        """What the endpoint has no part in: no free connection here, or a request that HTTP cannot say."""
        return self.module.PoolTimeout, self.module.LocalProtocolError, self.module.UnsupportedProtocol

    @cached_property
    def _meaning(self) -> tuple[tuple[Any, Cause], ...]:
        return (
            *((kind, Cause.LOCAL) for kind in self._local),
            (self.module.TimeoutException, Cause.TIMEOUT),
            (self.module.RemoteProtocolError, Cause.PROTOCOL),
        )

    # The ways

    def way(self, transport: Any, url: Any, service: Service) -> Way | None:
        """How attempts go out by this transport; None for one that has no network at all (a mock, an app).

        Raises the client's UnsupportedProtocol for `https` by a transport of the user's own: it may share connections
        between names, and so show one service's certificate for another.
        """
        module = self.module
        if isinstance(transport, (module.MockTransport, module.ASGITransport, module.WSGITransport)):
            return None
        pools = self.pools(transport)
        if pools is not None:
            return Way(pools, url, service)
        if url.scheme in ("https", "wss"):
            raise module.UnsupportedProtocol(f"{service.name}: https cannot go by a {type(transport).__name__}")
        return Through(transport)

    def pools(self, transport: Any) -> Pools | None:
        """The endpoint pools of a transport, made when first asked for; None for one that is not the library's."""
        found: Pools | None = getattr(transport, "_meshware_pools", None)
        if found is None and type(getattr(transport, "_pool", None)) in self._plain:
            found = transport.__dict__.setdefault("_meshware_pools", Pools(transport, self.module, self.core))
            close_along(transport._pool, found)
        return found

    @cached_property
    def _plain(self) -> tuple[Any, ...]:
        core: Any = self.core
        return core.ConnectionPool, core.AsyncConnectionPool

    # The seam

    def instrument(self, find_mesh: FindMesh) -> None:
        """Have every client of the process send mesh names by the mesh that `find_mesh` gives at the time."""
        for kind in (self.module.Client, self.module.AsyncClient):
            original = self._seams.setdefault(kind, kind._transport_for_url)
            kind._transport_for_url = self._seam(original, find_mesh)

    def uninstrument(self) -> None:
        """Undo it."""
        while self._seams:
            kind, original = self._seams.popitem()
            kind._transport_for_url = original

    def _seam(self, original: Any, find_mesh: FindMesh) -> Any:
        def transport_for_url(client: Any, url: Any) -> Any:
            transport = original(client, url)
            mesh = None if isinstance(transport, Door | Meshed) else find_mesh()
            service = None if mesh is None else self.find(mesh, url)
            if mesh is None or service is None or _mounted(client, url, transport):
                return transport
            if isinstance(transport, type(client._transport)) and self.pools(transport) is None:
                transport = client._transport  # a proxy from the environment is for strangers
            way = self.way(transport, url, service)
            return transport if way is None else Meshed(self, way, mesh, service)

        return transport_for_url


class Way:
    """To the endpoints of a service, by pools of their own."""

    def __init__(self, pools: Pools, url: Any, service: Service) -> None:
        self.left = pools.left
        self._pools = pools
        self._tls = service.tls
        self._name = url.raw_scheme, url.raw_host, url.port, service.tls

    def to(self, endpoint: Endpoint) -> Any:
        """The transport whose connections go to this endpoint."""
        return self._pools.get((self._name, endpoint.address), (endpoint.host, endpoint.port), self._tls)

    def rewritten(self, request: Any, endpoint: Endpoint) -> Any:
        """The request as that transport takes it: with its logical URL."""
        return request

    def tidy(self) -> None:
        """Close what finalizers could only leave behind."""
        while self.left:
            self.left.popleft().close()

    async def tidy_async(self) -> None:
        """The same on a loop."""
        while self.left:
            await closed(self.left.popleft())

    async def sweep(self, transport: Any) -> None:
        """After a call that was cut or cancelled: nothing of it stays in the pool."""
        await swept(transport._pool)


class Through(Way):
    """By a transport of the user's own, which knows its connections by the URL: that names the endpoint then."""

    def __init__(self, transport: Any) -> None:
        self.left: deque[Any] = deque()
        self._transport = transport

    def to(self, endpoint: Endpoint) -> Any:
        """The user's transport."""
        return self._transport

    def rewritten(self, request: Any, endpoint: Endpoint) -> Any:
        """The request by the endpoint's address; its Host header is the name's as before."""
        request.url = request.url.copy_with(host=endpoint.host, port=endpoint.port)
        return request

    async def sweep(self, transport: Any) -> None:
        """What it keeps is its own affair."""


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
        service = None if mesh is None else self._library.find(mesh, request.url)
        if mesh is None or service is None:
            return self._inner
        way = self._library.way(self._inner, request.url, service)
        return self._inner if way is None else Meshed(self._library, way, mesh, service)


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


def _mounted(client: Any, url: Any, transport: Any) -> bool:
    """Whether the user has mounted a transport for this very host: that is left alone."""
    return any(mounted is transport and pattern.host == url.host for pattern, mounted in client._mounts.items())


def _rewinds(field: Any) -> bool:
    """Whether a part of a form can be sent again."""
    file = getattr(field, "file", b"")
    return isinstance(file, str | bytes) or (hasattr(file, "seekable") and file.seekable())


_NO_LIMITS = Limits()
