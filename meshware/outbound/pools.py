"""Connections of urllib3 that carry the logical name and dial an endpoint, and can be cut from the start.

A connection goes back to its pool only when its answer was read to the end and nobody has cut it. Knows
urllib3 and the wire, nothing of calls.
"""

from __future__ import annotations

import queue
import socket
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any
from weakref import ref

from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import SKIP_HEADER
from urllib3.util.connection import allowed_gai_family, create_connection
from urllib3.util.retry import Retry

from meshware.core.outcome import COMPLETE
from meshware.outbound import plain
from meshware.outbound.addresses import connected
from meshware.outbound.bodies import plainly
from meshware.outbound.exchange import LEAST
from meshware.outbound.wire import CutOff, Wire, WireResponse, current

NO_RETRIES = Retry(0, read=False)
"""Urllib3 tries once: trying again is the call's business."""

PROXY_SECRET = "Proxy-Authorization"
"""As requests writes it. There is no proxy here, and it is not the endpoint's to see."""


class _Cuttable:
    """What both connection classes add to urllib3's: the endpoint to dial, and what the wire must know."""

    response_class: Any = WireResponse
    sock: Any
    timeout: Any

    def __init__(self, *args: Any, endpoint: tuple[str, int], **kwargs: Any) -> None:
        self._endpoint = endpoint
        self._wire: Wire | None = None
        self._answering = False
        self._asked: tuple[str, str, dict[str, Any]] | None = None
        super().__init__(*args, **kwargs)

    def connect(self) -> None:
        self._wire = wire = current.get()
        began = time.monotonic()
        wire.begun = wire.begun or began
        self.timeout = max(LEAST, min(wire.connect_for, wire.cut.until - began))
        super().connect()  # type: ignore[misc]
        wire.hold(self.sock)
        wire.connected_in = time.monotonic() - began

    def _new_conn(self) -> socket.socket:
        """Urllib3's, but to the endpoint, while errors speak of the logical name."""
        me: Any = self
        try:
            sock = connected(self._endpoint, self._dialled, within=self.timeout, family=allowed_gai_family())
        except socket.gaierror as error:
            raise NameResolutionError(me.host, me, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(
                me, f"Connection to {me.host} timed out. (connect timeout={self.timeout})"
            ) from error
        except OSError as error:
            raise NewConnectionError(me, f"Failed to establish a new connection: {error}") from error
        return sock

    def _dialled(self, address: tuple[str, int], seconds: float) -> socket.socket:
        me: Any = self
        return create_connection(address, seconds, source_address=me.source_address, socket_options=me.socket_options)

    def putrequest(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            self._begun()
        super().putrequest(*args, **kwargs)  # type: ignore[misc]

    def _begun(self) -> None:
        """An attempt goes out on the connection that is there."""
        self._wire = wire = current.get()
        wire.begun = wire.begun or time.monotonic()
        wire.hold(self.sock)

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:
        """Urllib3's, or in one step what it comes to."""
        data = plain.request_of(self, method, url, body, headers, options) if self.sock is not None else None
        self._asked = None if data is None else (method, url, options)
        if data is None:
            super().request(method, url, body, headers, **options)  # type: ignore[misc]
        else:
            self._begun()
            self.send(data)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        current.get().sent = True
        super().send(data)  # type: ignore[misc]

    def getresponse(self) -> Any:
        current.get().meanwhile(time.monotonic())
        self._answering = True
        try:
            if self._asked is not None:
                return plainly(plain.answer_of(self, *self._asked))
            return plainly(super().getresponse())  # type: ignore[misc]
        finally:
            self._answering = False

    def close(self) -> None:
        """The socket must not be cut once it is closed: its number may be another call's by then.

        An answer that ends with its connection is still being read from a closed one.
        """
        if self._wire is not None and not self._answering:
            self._wire.cut.release()
        super().close()  # type: ignore[misc]

    def let_go(self) -> None:
        """Back to the pool; closed unless the answer was read to its end and nobody has cut it."""
        wire, self._wire = self._wire, None
        if wire is not None and (wire.ending is not COMPLETE or wire.cut.fired):
            wire.cut.release()
            self.close()


class WireHTTPConnection(_Cuttable, HTTPConnection):
    """Plain HTTP/1.1."""


class WireHTTPSConnection(_Cuttable, HTTPSConnection):
    """The same over TLS."""

    def connect(self) -> None:
        """While hands are shaken the socket belongs to the TLS layer: what can be cut is a second handle on it."""
        self._handle: socket.socket | None = None
        try:
            super().connect()
        except BaseException:
            current.get().cut.release()
            raise
        finally:
            if self._handle is not None:
                self._handle.close()

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        self._handle = sock.dup()
        cut = current.get().cut
        cut.attach(self._handle)
        if cut.fired:  # ssl would take it for one that is not connected yet, and leave it open
            sock.close()
            raise CutOff("cut at the deadline")
        return sock


class _Patience:
    """What urllib3 asks of a Timeout: for each single step as long as the wire says."""

    __slots__ = ("connect_timeout", "read_timeout")

    def __init__(self, seconds: float) -> None:
        self.connect_timeout = self.read_timeout = seconds

    def start_connect(self) -> None:
        """The whole is bounded elsewhere."""


class _Resting:
    """Connections at rest, the last one first: what urllib3 asks of a `queue.LifoQueue` where nobody waits for one."""

    def __init__(self, most: int) -> None:
        self._most = most if most > 0 else inf
        self._kept: deque[Any] = deque()

    def get(self, block: bool = False, timeout: float | None = None) -> Any:
        """The last one; raises queue.Empty."""
        try:
            return self._kept.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, connection: Any, block: bool = False) -> None:
        """One more; raises queue.Full."""
        if len(self._kept) >= self._most:
            raise queue.Full
        self._kept.append(connection)

    def qsize(self) -> int:
        """How many."""
        return len(self._kept)


class _Once:
    """What both pool classes add: one try, a bounded wait for a connection, a check of what comes back."""

    QueueCls: Any = queue.LifoQueue

    def __init__(self, *args: Any, **options: Any) -> None:
        if not options.get("block"):
            self.QueueCls = _Resting
        super().__init__(*args, **options)

    def urlopen(self, *args: Any, **kwargs: Any) -> Any:
        """The attempt's headers are put on here, below what the client keeps: a redirect does not carry them along."""
        wire = current.get()
        mine, given = wire.headers, kwargs["headers"]
        sent = {name: given[name] for name in given if name.lower() not in mine and name != PROXY_SECRET}
        if wire.without:
            sent = _less(sent, wire.without)
        kwargs |= {"headers": sent | mine, "retries": NO_RETRIES, "pool_timeout": wire.patience}
        return super().urlopen(*args, **kwargs)  # type: ignore[misc]

    def _get_timeout(self, timeout: Any) -> Any:
        """Asked twice per request; urllib3's own are made, looked at, and copied each time."""
        return _Patience(current.get().patience)

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.let_go()
        super()._put_conn(conn)  # type: ignore[misc]


def _less(headers: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """The headers without these, which urllib3 does not put there by itself either."""
    kept = {name: value for name, value in headers.items() if name.lower() not in names}
    return kept | dict.fromkeys(names & _BY_ITSELF, SKIP_HEADER)


_BY_ITSELF = frozenset({"accept-encoding", "user-agent"})


class WireHTTPConnectionPool(_Once, HTTPConnectionPool):
    """Plain connections to one endpoint, under the logical name."""

    ConnectionCls = WireHTTPConnection


class WireHTTPSConnectionPool(_Once, HTTPSConnectionPool):
    """TLS connections to one endpoint, verified for the logical name."""

    ConnectionCls = WireHTTPSConnection


class WirePools(PoolManager):
    """Pools per logical name and endpoint: two names at one endpoint, or two endpoints of a name, share nothing.

    Thread-safe. Urllib3 works out a pool's key from the URL and the TLS settings at every request; that is dearer
    than all of a call's policies. When its endpoint is removed a pool is dropped: its connections are closed, one that
    is in use when it no longer is.
    """

    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(**options)
        self._most = most
        self.pool_classes_by_scheme = {"http": WireHTTPConnectionPool, "https": WireHTTPSConnectionPool}
        self._known: dict[Any, Any] = {}

    def clear(self) -> None:
        """Close every connection that nobody is using."""
        known, self._known = self._known, {}
        for pool in known.values():
            pool.close()

    def get(self, wire: Wire, verify: Any, cert: Any, attributes: Callable[[], tuple[Any, Any]]) -> Any:
        """The pool of an attempt; `attributes()` gives urllib3's host and pool arguments when it is not open yet."""
        member = wire.endpoint.membership
        known = id(member), wire.authority, wire.server_name, verify, cert
        pool = self._known.get(known)
        if pool is None or pool.pool is None:
            if len(self._known) >= self._most:
                for each in list(self._known)[: len(self._known) // 2 + 1]:
                    self._known.pop(each, None)
            pool = self._known[known] = self._made(wire, *attributes())
            pool.member = ref(member, lambda _gone: self._known.pop(known, None))
        return pool

    def _made(self, wire: Wire, host: Any, options: Any) -> Any:
        options = self.connection_pool_kw | options | {"endpoint": (wire.endpoint.host, wire.endpoint.port)}
        if wire.server_name is not None:
            options["server_hostname"] = options["assert_hostname"] = wire.server_name
        return self._new_pool(host["scheme"], host["host"], host["port"], options)
