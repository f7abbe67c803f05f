"""An answer that nobody sent, as niquests has answers: its own class, sync or async, with a body to read."""

from __future__ import annotations

import http.client
from io import BytesIO
from typing import TYPE_CHECKING, Any

from niquests.adapters import AsyncHTTPAdapter
from urllib3 import AsyncHTTPResponse, HTTPHeaderDict, HTTPResponse

from meshware.outbound.fallbacks import marked
from meshware.outbound.requests_replies import head

if TYPE_CHECKING:
    import niquests

    from meshware.core.reply import Reply


def replied(adapter: Any, request: niquests.PreparedRequest, reply: Reply) -> Any:
    """The reply as an answer to this request, made by the adapter as it makes any."""
    method = str(request.method)
    headers = marked(reply, method)
    kind = AsyncHTTPResponse if isinstance(adapter, AsyncHTTPAdapter) else HTTPResponse
    raw = kind(  # the async one, too, reads such a body as it is
        body=BytesIO(b"" if method == "HEAD" else reply.body),
        headers=HTTPHeaderDict(headers),
        status=reply.status,
        reason=http.client.responses.get(reply.status, ""),
        preload_content=False,
        request_method=method,
        original_response=head(headers),
    )
    return adapter.build_response(request, raw)
