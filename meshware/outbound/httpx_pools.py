"""Connections of httpcore, a pool of its own for each name, TLS identity and endpoint.

Httpcore's connections are known by scheme, host and port alone. Were all endpoints behind one pool, a name
would be sent over a connection that was verified for another, and no endpoint could be picked. So each pool
dials one endpoint while the request keeps its logical URL, and everything above sees that name only.
"""

from __future__ import annotations

import ssl
import threading
from collections import deque
from copy import copy
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import ref

from meshware.outbound.httpx_lines import kinds

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint

MOST = 1000
"""Endpoints for which a transport keeps pools; beyond, those without a call are closed."""

_KEPT = (
    "max_connections", "max_keepalive_connections", "keepalive_expiry", "http1", "http2",
    "local_address", "socket_options",
)  # fmt: skip
"""What a pool takes over from its client's. `retries` it does not: trying again is the call's business."""


class Pools:
    """The endpoint pools of one transport. Thread-safe."""

    def __init__(self, transport: Any, module: ModuleType, core: ModuleType) -> None:
        self._transport = transport
        self._module: Any = module
        self._core: Any = core
        self._contexts: dict[Any, Any] = {}
        self._known: dict[Any, Any] = {}
        self._lock = threading.Lock()
        self.leaving: deque[Any] = deque()  # transports that are known no more
        self.left: deque[Any] = deque()  # bodies that nobody read or closed: a finalizer may only leave them here

    @property
    def shared(self) -> bool:
        """Whether several calls may use one connection at a time (HTTP/2)."""
        return bool(self._transport._pool._http2)

    def get(self, name: Any, endpoint: Endpoint, tls: Any) -> Any:
        """A transport like the client's own that leads to `endpoint`, until that is removed."""
        member = endpoint.membership
        key = name, id(member)
        found = self._known.get(key)
        if found is None:
            with self._lock:
                found = self._known.get(key)
                if found is None:
                    self._make_room()
                    found = self._known[key] = self._made((endpoint.host, endpoint.port), self._context(tls))
                    found._meshware_member = ref(member, lambda _gone: self._leave(key))
        return found

    def _make_room(self) -> None:
        if len(self._known) >= MOST:
            idle = [key for key, each in self._known.copy().items() if not each._pool._requests]
            for key in idle[: len(idle) // 2 + 1]:
                self._leave(key)

    def _leave(self, key: Any) -> None:
        transport = self._known.pop(key, None)
        if transport is not None:
            self.leaving.append(transport)

    def idle(self) -> list[Any]:
        """Transports that are known no more, and that no call uses any more, for the caller to close."""
        idle: list[Any] = []
        for _ in range(len(self.leaving)):
            transport = self.leaving.popleft()
            (self.leaving if transport._pool._requests else idle).append(transport)
        return idle

    def _context(self, tls: Any) -> Any:
        """The client's own verification, under what the service's settings say."""
        if tls is None or (tls.ca is None and tls.cert is None):
            return self._transport._pool._ssl_context
        context = self._contexts.get(tls)
        if context is None:
            given = tls.ca is not None
            context = ssl.create_default_context(cafile=tls.ca) if given else self._module.create_ssl_context()
            if tls.cert is not None:
                context.load_cert_chain(tls.cert, tls.key)
            self._contexts[tls] = context
        return context

    def all(self) -> list[Any]:
        """Every transport, for the caller to close; none is known any more."""
        with self._lock:
            known, self._known = self._known, {}
        return [*known.values(), *(self.leaving.popleft() for _ in range(len(self.leaving)))]

    def _made(self, endpoint: tuple[str, int], context: Any) -> Any:
        pool = self._transport._pool
        kind, connection, dialler = kinds(self._core, isinstance(pool, self._core.AsyncConnectionPool))
        options = {name: getattr(pool, f"_{name}") for name in _KEPT}
        made = copy(self._transport)
        made.__dict__.pop("_meshware_pools", None)
        made._pool = kind(ssl_context=context, network_backend=pool._network_backend, **options)
        shared = made._pool._http2 and not made._pool._http1

        def create_connection(origin: Any) -> Any:
            mine = dialler(pool._network_backend, endpoint, core=self._core, shared=shared)
            return connection(mine, origin, made._pool)

        made._pool.create_connection = create_connection
        return made


async def swept(pool: Any) -> None:
    """After a call that was cut or cancelled: no connection stays that no request has and that none can ever use.

    Cancelling httpcore 1.0 leaves such behind, each taking a place for good (encode/httpcore 1093).
    """
    wanted = {id(request.connection) for request in pool._requests}
    lost = [each for each in pool._connections if id(each) not in wanted and not (each.is_idle() or each.is_closed())]
    for each in lost:
        pool._connections.remove(each)
    if lost:
        lost += pool._assign_requests_to_connections()  # somebody may wait for these places
        for each in lost:
            await each.aclose()


async def closed(stream: Any) -> None:
    """Close an answer's body; cancelled in the middle, httpcore 1.0 would keep its connection in use for ever."""
    try:
        await stream.aclose()
    finally:
        inner = getattr(stream, "_httpcore_stream", None)
        pool, request = getattr(inner, "_pool", None), getattr(inner, "_pool_request", None)
        if pool is not None and request in pool._requests:
            pool._requests.remove(request)
            await swept(pool)


def close_along(pool: Any, pools: Pools) -> None:
    """Have the endpoint pools closed when the client's own is."""
    if hasattr(pool, "aclose"):
        aclose = pool.aclose

        async def close_async() -> None:
            await aclose()
            for each in pools.all():
                await each.aclose()

        pool.aclose = close_async
        return
    close = pool.close

    def close_sync() -> None:
        close()
        for each in pools.all():
            each.close()

    pool.close = close_sync
