"""The body of an answer, read as urllib3 reads it, in half the steps.

Where a body has a known length and no coding, urllib3 keeps what it has read in a buffer first, and asks once more
whether that was all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from urllib3 import HTTPResponse

_THEIRS = HTTPResponse.stream, HTTPResponse.read


class PlainResponse(HTTPResponse):
    """Urllib3's response; what is streamed in pieces that all of it fits into is read at once."""

    def stream(self, amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:  # type: ignore[override]
        """As urllib3's."""
        if self._fits(amt) and decode_content:
            data = self._raw_read(amt)
            if data and self.closed:
                yield data
                return
            self._decoded_buffer.put(data)  # something is amiss: urllib3 goes on
        yield from super().stream(amt, decode_content)

    def _fits(self, amt: int | None) -> bool:
        """Whether all of it is still to come, as it is, and is no more than that."""
        left = self.length_remaining
        fits = bool(left and amt and left <= amt)
        return fits and not self.tell() and not self.closed and "content-encoding" not in self.headers


def plainly(answer: Any) -> Any:
    """The same answer, to be read like that while the ways of reading are urllib3's own."""
    if type(answer) is HTTPResponse and (HTTPResponse.stream, HTTPResponse.read) == _THEIRS:
        answer.__class__ = PlainResponse
    return answer
