"""Which transport leads to an endpoint: one of the endpoint's own, or the user's with the address in the URL."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from copy import copy
from typing import TYPE_CHECKING, Any

from meshware.outbound.httpx_pools import Pools, close_along, closed, swept

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.service import Service
    from meshware.outbound.httpx_direct import Origin, Parts
    from meshware.outbound.httpx_library import Library


def way_of(library: Library, transport: Any, service: Service, origin: Origin) -> Way | None:
    """How attempts go out by this transport; None for one that has no network at all (a mock, an app).

    Raises the client's UnsupportedProtocol for `https` by a transport of the user's own: it may share connections
    between names, and so show one service's certificate for another.
    """
    pools = pools_of(library, transport)
    if pools is not None:
        return Way(library, pools, service, origin)
    module = library.module
    if isinstance(transport, (module.MockTransport, module.ASGITransport, module.WSGITransport)):
        return None
    if origin[0] in (b"https", b"wss"):
        raise module.UnsupportedProtocol(f"{service.name}: https cannot go by a {type(transport).__name__}")
    return Through(library, transport)


def pools_of(library: Library, transport: Any) -> Pools | None:
    """The endpoint pools of a transport, made when first asked for; None for a proxy, or one of the user's own."""
    found: Pools | None = getattr(transport, "_meshware_pools", None)
    if found is None and type(getattr(transport, "_pool", None)) in library.plain_pools:
        found = transport.__dict__.setdefault("_meshware_pools", Pools(transport, library.module, library.core))
        close_along(transport._pool, found)
    return found


class Way:
    """To the endpoints of a service, by pools of their own."""

    blind = False
    """Whether nobody sees what goes out: then everything counts as sent, unless the error says otherwise."""

    reaches: bool
    """Whether a cut ends what is under way: not on a connection that several calls share, nor on one nobody sees."""

    def __init__(self, library: Library, pools: Pools, service: Service, origin: Origin) -> None:
        self.direct = library.direct
        self.left = pools.left
        self._pools = pools
        self._tls = service.tls
        self._origin = origin
        self._name = origin, service.tls
        self.reaches = service.tls is None or not pools.shared

    def to_service(self, service: Service) -> Way:
        """The way to another one's endpoints, under the same name."""
        made = copy(self)
        made._tls, made._name = service.tls, (self._origin, service.tls)
        made.reaches = service.tls is None or not self._pools.shared
        return made

    def to(self, endpoint: Endpoint) -> Any:
        """The transport whose connections go to this endpoint."""
        return self._pools.get(self._name, endpoint, self._tls)

    def send(self, transport: Any, request: Any, parts: Parts, endpoint: Endpoint) -> Any:
        """The answer by that transport, to the request with its logical URL and the headers and extensions given."""
        return self.direct.handle_request(transport, request, self._origin, parts)

    async def send_async(self, transport: Any, request: Any, parts: Parts, endpoint: Endpoint) -> Any:
        """The same on a loop."""
        return await self.direct.handle_async_request(transport, request, self._origin, parts)

    def tidy(self) -> None:
        """Close what finalizers could only leave behind, and what led to endpoints that are removed."""
        while self.left:
            self.left.popleft().close()
        if self._pools.leaving:
            for each in self._pools.idle():
                each.close()

    async def tidy_async(self) -> None:
        """The same on a loop."""
        while self.left:
            await closed(self.left.popleft())
        if self._pools.leaving:
            for each in self._pools.idle():
                with suppress(RuntimeError):  # it was opened on a loop that is closed by now
                    await each.aclose()

    async def sweep(self, transport: Any) -> None:
        """After a call that was cut or cancelled: nothing of it stays in the pool."""
        await swept(transport._pool)


class Through(Way):
    """By a transport of the user's own, which knows its connections by the URL: that names the endpoint then."""

    blind = True
    reaches = False

    def __init__(self, library: Library, transport: Any) -> None:
        self.direct = library.direct
        self.left: deque[Any] = deque()
        self._transport = transport

    def tidy(self) -> None:
        """What it keeps is its own affair."""

    async def tidy_async(self) -> None:
        """What it keeps is its own affair."""

    def to_service(self, service: Service) -> Way:
        """The same: it goes by the URL."""
        return self

    def to(self, endpoint: Endpoint) -> Any:
        """The user's transport."""
        return self._transport

    def send(self, transport: Any, request: Any, parts: Parts, endpoint: Endpoint) -> Any:
        """The answer by the endpoint's address; the Host header is the name's as before."""
        return transport.handle_request(self._rewritten(request, parts, endpoint))

    async def send_async(self, transport: Any, request: Any, parts: Parts, endpoint: Endpoint) -> Any:
        """The same on a loop."""
        return await transport.handle_async_request(self._rewritten(request, parts, endpoint))

    def _rewritten(self, request: Any, parts: Parts, endpoint: Endpoint) -> Any:
        made = self.direct.copied(request, *parts)
        made.url = made.url.copy_with(host=endpoint.host, port=endpoint.port)
        if "target" in parts[-1]:
            made.url = made.url.copy_with(raw_path=parts[-1]["target"])
        return made

    async def sweep(self, transport: Any) -> None:
        """What it keeps is its own affair."""
