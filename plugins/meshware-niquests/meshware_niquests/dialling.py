"""Resolvers that answer every name with one endpoint: the request, TLS and errors keep the logical name."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from niquests.packages import urllib3  # the one that niquests uses, wherever it is
from urllib3.contrib.resolver._async.protocols import AsyncBaseResolver
from urllib3.contrib.resolver.protocols import BaseResolver, ProtocolResolver

__all__ = ["AsyncDialler", "Dialler", "urllib3"]


class Dialler(BaseResolver):  # type: ignore[misc]
    """The address of one endpoint, for sync connections. Tells when it was asked: a new connection is made then."""

    protocol = ProtocolResolver.CUSTOM
    implementation = "meshware"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(None)
        self._address = host, port

    def recycle(self) -> BaseResolver:
        """It is never used up."""
        return self

    def close(self) -> None:
        """Nothing is open."""

    def is_available(self) -> bool:
        """Always."""
        return True

    def getaddrinfo(self, _host: Any, _port: Any, family: Any, type: Any, proto: int = 0, *_: Any, **__: Any) -> Any:
        """As socket.getaddrinfo, for the endpoint."""
        return socket.getaddrinfo(*self._address, family, type, proto)


class AsyncDialler(AsyncBaseResolver):  # type: ignore[misc]
    """The same for async connections."""

    protocol = ProtocolResolver.CUSTOM
    implementation = "meshware"

    def __init__(self, host: str, port: int) -> None:
        super().__init__(None)
        self._address = host, port

    def recycle(self) -> AsyncBaseResolver:
        """It is never used up."""
        return self

    async def close(self) -> None:
        """Nothing is open."""

    def is_available(self) -> bool:
        """Always."""
        return True

    async def getaddrinfo(
        self, _host: Any, _port: Any, family: Any, type: Any, proto: int = 0, *_: Any, **__: Any
    ) -> Any:
        """As loop.getaddrinfo, for the endpoint."""
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo(*self._address, family=family, type=type, proto=proto)
