"""What the client's own transport does between it and httpcore, done here: headers are joined instead of copied twice.

Only where the transport is the client's very own and nobody has put something in the place of its method; else that
is called, so that who watches it (a tracer, a user's subclass) sees each attempt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from meshware.outbound.verbatim import late, verbatim

Origin = tuple[bytes, bytes, int | None]
"""Scheme, host and port, as a URL says them."""

Parts = tuple[dict[str, str], frozenset[str], dict[str, Any]]
"""The headers that an attempt puts on its request, the names of those that it leaves out, and its extensions."""


class _Nothing:
    """A body of nothing, for who reads it on a loop as well."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for each in self:
            yield each


NOTHING = _Nothing()


class Direct:
    """For one client library and its httpcore. Thread-safe: it has no state."""

    def __init__(self, module: ModuleType, core: ModuleType) -> None:
        self._module: Any = module
        self._core: Any = core
        self._inside: Any = import_module(f"{module.__name__}._transports.default")
        self._sync = self._original("HTTPTransport", "handle_request")
        self._async = self._original("AsyncHTTPTransport", "handle_async_request")
        probe = [(b"A", b"b")]
        alike = vars(self._listed(probe)) == vars(module.Headers(probe))
        self._heads = self._listed if alike else module.Headers
        self._body = self._bodies("ResponseStream", "__iter__")
        self._body_async = self._bodies("AsyncResponseStream", "__aiter__")

    def _bodies(self, kind: str, reading: str) -> Any:
        """A kind of body of the client's, which maps errors when there are any."""
        found = getattr(self._inside, kind)
        mapped = late(self._inside.map_httpcore_exceptions)
        return type(kind, (found,), {reading: verbatim(getattr(found, reading), map_httpcore_exceptions=mapped)})

    def _original(self, kind: str, name: str) -> tuple[Any, str, Any]:
        """A kind of transport, and its method as the library wrote it; None where somebody has covered it already."""
        found: Any = getattr(self._module, kind)
        method = found.__dict__.get(name)
        ours = isinstance(method, FunctionType) and method.__globals__ is vars(self._inside)
        return found, name, method if ours else None

    def _plain(self, transport: Any, original: tuple[Any, str, Any]) -> bool:
        kind, name, method = original
        return (
            type(transport) is kind
            and method is not None
            and kind.__dict__.get(name) is method
            and name not in transport.__dict__
        )

    def handle_request(self, transport: Any, request: Any, origin: Origin, parts: Parts) -> Any:
        """The answer to a request with other headers and extensions, by `transport`; raises what that would."""
        if not self._plain(transport, self._sync):
            return transport.handle_request(self.copied(request, *parts))
        try:
            response = transport._pool.handle_request(self._below(request, origin, parts))
        except Exception:
            with self._inside.map_httpcore_exceptions():
                raise
        return self._above(response, self._body)

    async def handle_async_request(self, transport: Any, request: Any, origin: Origin, parts: Parts) -> Any:
        """The same on a loop."""
        if not self._plain(transport, self._async):
            return await transport.handle_async_request(self.copied(request, *parts))
        try:
            response = await transport._pool.handle_async_request(self._below(request, origin, parts))
        except Exception:
            with self._inside.map_httpcore_exceptions():
                raise
        return self._above(response, self._body_async)

    def copied(
        self, request: Any, headers: Mapping[str, str], without: frozenset[str], extensions: dict[str, Any]
    ) -> Any:
        """The same request with other headers and extensions; nothing is parsed or encoded again."""
        made = object.__new__(type(request))
        made.__dict__.update(
            request.__dict__, headers=self._joined(request.headers, headers, without), extensions=extensions
        )
        return made

    def _joined(self, given: Any, mine: Mapping[str, str], without: frozenset[str]) -> Any:
        made = self._module.Headers(given, given.encoding)
        for name in without:
            made.pop(name, None)
        for name, value in mine.items():
            made[name] = value
        return made

    def _below(self, request: Any, origin: Origin, parts: Parts) -> Any:
        """The request as httpcore takes it; the client has made sure of each part of it, and its headers are bytes."""
        mine, without, extensions = parts
        url, made = _bare(self._core.URL), _bare(self._core.Request)
        url.scheme, url.host, url.port = origin
        url.target = extensions.get("target") or request.url.raw_path
        made.method, made.url, made.stream = request.method.encode("ascii"), url, self._sent(request.stream)
        made.headers, made.extensions = self._raw(request.headers, mine, without), extensions
        return made

    def _sent(self, stream: Any) -> Any:
        """The body; `NOTHING` where the client's own has nothing."""
        empty = type(stream) is self._module.ByteStream and getattr(stream, "_stream", None) == b""
        return NOTHING if empty else stream

    def _raw(self, given: Any, mine: Mapping[str, str], without: frozenset[str]) -> list[tuple[bytes, bytes]]:
        raw: list[tuple[bytes, bytes]] = given.raw
        added = [(name.encode(), value.encode()) for name, value in mine.items()]
        if not without and {name.lower() for name, _ in raw}.isdisjoint({name.lower() for name, _ in added}):
            return raw + added
        return list(self._joined(given, mine, without).raw)

    def _above(self, response: Any, stream: Any) -> Any:
        headers, body = self._heads(response.headers), stream(response.stream)
        return self._module.Response(response.status, headers=headers, stream=body, extensions=response.extensions)

    def _listed(self, raw: list[tuple[bytes, bytes]]) -> Any:
        """An answer's headers; the client's own constructor looks whether each name and value are bytes."""
        made = self._module.Headers()
        made._list = [(name, name.lower(), value) for name, value in raw]
        return made


def _bare(kind: Any) -> Any:
    """One whose parts are yet to be set: its own constructor looks at each of them."""
    return kind.__new__(kind)
