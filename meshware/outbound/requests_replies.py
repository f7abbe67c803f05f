"""An answer that nobody sent, as requests has answers: its own class, with a body to read and cookies to take."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from http.client import HTTPMessage
from io import BytesIO
from typing import TYPE_CHECKING, Any

from urllib3 import HTTPHeaderDict, HTTPResponse

from meshware.outbound.fallbacks import marked

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

    from meshware.core.reply import Reply


def replied(
    adapter: HTTPAdapter, request: requests.PreparedRequest, reply: Reply, *, raw: Callable[..., Any] = HTTPResponse
) -> requests.Response:
    """The reply as an answer to this request, made by the adapter as it makes any of urllib3's kind `raw`."""
    method = str(request.method)
    headers = marked(reply, method)
    answer = raw(
        body=BytesIO(b"" if method == "HEAD" else reply.body),
        headers=HTTPHeaderDict(headers),
        status=reply.status,
        reason=http.client.responses.get(reply.status, ""),
        preload_content=False,
        request_method=method,
        original_response=_head(headers),
    )
    return adapter.build_response(request, answer)


class _Head:
    """What requests asks an answer's head for: its cookies."""

    def __init__(self, message: HTTPMessage) -> None:
        self.msg = message

    def isclosed(self) -> bool:
        """There is no connection to give back."""
        return True

    def close(self) -> None:
        """There is nothing to close."""


def _head(headers: list[tuple[str, str]]) -> Any:
    """The head of an answer that has no connection."""
    message = HTTPMessage()
    for name, value in headers:
        message[name] = value
    return _Head(message)
