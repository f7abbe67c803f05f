"""Reply: an answer that no endpoint sent, made by a fallback or a fault. A door makes one of its client's own of it."""

from __future__ import annotations

from typing import NamedTuple

Headers = tuple[tuple[str, str], ...]


class Reply(NamedTuple):
    """Status, headers as they are to be shown, and the whole body. `source` says where it is from: `last-good`."""

    status: int
    headers: Headers
    body: bytes
    source: str
