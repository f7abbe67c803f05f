"""One of httpx and httpx2, told apart by their modules only: what a request says there, and what its errors mean."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.core.errors import MeshError
from meshware.core.outcome import Cause
from meshware.outbound.errors import LOCAL_ERRNOS, chain, twin
from meshware.outbound.exchange import Limits, finite
from meshware.outbound.fallbacks import EXTENSIONS, mark, marked
from meshware.outbound.httpx_direct import Direct, Origin
from meshware.outbound.httpx_wire import Wire

if TYPE_CHECKING:
    from meshware.core.reply import Reply
    from meshware.core.service import Service
    from meshware.mesh import Mesh

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


class Library:
    """One of the two clients: its module, its httpcore, and our errors as its own (`kinds`)."""

    def __init__(self, module: ModuleType, kinds: Mapping[type[MeshError], Any]) -> None:
        self.module: Any = module
        self.core: Any = import_module(module.__name__.replace("httpx", "httpcore"))
        self.plain_pools: Any = (self.core.ConnectionPool, self.core.AsyncConnectionPool)
        self.direct = Direct(self.module, self.core)
        self.failures: Any = (self.module.TransportError,)
        self.unsent: Any = (
            self.module.ConnectError,
            self.module.ConnectTimeout,
            self.module.PoolTimeout,
            self.module.UnsupportedProtocol,
        )
        self.mendable: Any = (self.module.UnsupportedProtocol, self.module.LocalProtocolError)
        self._kinds = kinds
        self._usual = self.module.Timeout(5.0).as_dict()

    # The request

    def find(self, mesh: Mesh, url: Any) -> tuple[Service, Origin] | None:
        """The service of this URL, and what names it; userinfo is never part of a name."""
        said = url.scheme
        scheme = _SCHEMES.get(said)
        if scheme is None or url.userinfo:
            return None
        host, port = url.raw_host, url.port
        service = mesh.find(scheme, host.decode("ascii"), port)
        return None if service is None else (service, (said.encode("ascii"), host, port))

    def limits(self, request: Any) -> Limits:
        """The caller's own timeouts; 5 s each is what the library sets when nobody does."""
        said: dict[str, float | None] = request.extensions.get("timeout", {})
        if not said or said == self._usual:
            return _NO_LIMITS
        connect, read, write, pool = (finite(said.get(step)) for step in ("connect", "read", "write", "pool"))
        limits = Limits(connect, read, write=write, pool=pool)
        if connect is None or read is None:
            return limits
        return limits._replace(total=read if len(set(said.values())) == 1 else connect + read)

    def replayable(self, stream: Any) -> bool:
        """Whether a body can be sent again: bytes can, forms and files that can be wound back too."""
        if isinstance(stream, self.module.ByteStream):
            return True
        fields = getattr(stream, "fields", None)
        return fields is not None and all(_rewinds(each) for each in fields)

    def file_of(self, stream: Any) -> Rewindable | None:
        """The file that a body is read from, where it can be read again from where it stands."""
        file = None if isinstance(stream, self.module.ByteStream) else getattr(stream, "_stream", None)
        if file is None or not hasattr(file, "read"):
            return None
        try:
            return Rewindable(file, file.tell()) if file.seekable() else None
        except (AttributeError, OSError):
            return None

    def replied(self, request: Any, reply: Reply) -> Any:
        """A reply as the client's own response, its body unread."""
        body = b"" if request.method == "HEAD" else reply.body
        return self.module.Response(
            reply.status,
            headers=marked(reply, request.method),
            stream=self.module.ByteStream(body),
            extensions={EXTENSIONS[mark(reply)]: reply.source},
        )

    # Errors

    def twin(self, error: MeshError, request: Any) -> Exception:
        """The same error as one of the client's."""
        return twin(error, self._kinds, _request=request)

    def cause_of(self, error: BaseException, wire: Wire) -> Cause:
        """Why an attempt has no answer."""
        if wire.cut is not None and wire.cut.fired:
            return wire.cut.cause(begun=wire.begun > 0)
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


class Rewindable(NamedTuple):
    """A file, and where a body begins in it."""

    file: Any
    position: int

    def rewind(self) -> None:
        """To be read again from there."""
        self.file.seek(self.position)


def _rewinds(field: Any) -> bool:
    """Whether a part of a form can be sent again."""
    file = getattr(field, "file", b"")
    return isinstance(file, str | bytes) or (hasattr(file, "seekable") and file.seekable())


_NO_LIMITS = Limits()
