"""A look at a body's first bytes before its answer is judged: decoded for the look only, within a limit.

The doors read the pieces, keep them for the caller, and put them in here. Whatever an endpoint sends, nothing raises.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshware.core.outcome import Outcome
    from meshware.core.service import Service

EITHER = zlib.MAX_WBITS | 32
"""zlib tells gzip and zlib apart by itself."""

BODILESS = frozenset({101, 204, 205, 304})
"""Answers that have no body to look at."""

LONGEST_SIZE, HEX = 256, b"0123456789abcdefABCDEF"
"""Bytes of a line with a chunk's size, its extensions included; and its digits."""

PIECE = 16_384
"""Bytes that are asked for at once."""


def look_of(service: Service, method: str, outcome: Outcome) -> Look | None:
    """The look that a service's classifier wants at this answer; None when it wants none or could not read it."""
    judge = service.judge
    if judge is None or method == "HEAD" or outcome.status in BODILESS or not judge.wants(outcome):
        return None
    encoding = "" if outcome.headers is None else outcome.headers.get("content-encoding") or ""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return Look(judge.needs_body)
    return Unpacking(judge.needs_body) if encoding in ("gzip", "x-gzip", "deflate") else None


class Look:
    """The first `most` bytes of a body, as far as they have come."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.body = b""
        self.full = False

    def add(self, piece: bytes) -> None:
        """The next bytes as they came."""
        self.body = (self.body + piece)[: self.most]
        self.full = len(self.body) >= self.most


class Unpacking(Look):
    """The same of a compressed body: no more of it is unpacked, or read, than is looked at."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._read = 0
        self._unpacker: Any = zlib.decompressobj(EITHER)

    def add(self, piece: bytes) -> None:
        """The next bytes as they came; what cannot be unpacked ends the look."""
        first, self._read = self._read == 0, self._read + len(piece)
        try:
            plain = self._unpacker.decompress(piece, self.most - len(self.body))
        except zlib.error:
            plain = self._bare(piece) if first else None
        if plain is None:
            self.full = True
            return
        super().add(plain)
        self.full = self.full or self._unpacker.eof or self._read >= self.most

    def _bare(self, piece: bytes) -> bytes | None:
        """`deflate` without its header, as some servers send it."""
        self._unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            plain: bytes = self._unpacker.decompress(piece, self.most)
        except zlib.error:
            return None
        return plain


class Chunks:
    """Takes chunk sizes and line ends out of what is looked at (RFC 9112, 7.1); after the last chunk nothing is."""

    def __init__(self) -> None:
        self.over = False
        self._left = 0
        self._line = b""

    def feed(self, piece: bytes) -> bytes:
        """The part of it that is body."""
        body = b""
        while piece and not self.over:
            if self._left > 2:
                taken = piece[: self._left - 2]
                body += taken
            elif self._left:
                taken = piece[: self._left]  # the line end of a chunk
            else:
                taken = self._sized(piece)
                piece = piece[len(taken) :]
                continue
            self._left -= len(taken)
            piece = piece[len(taken) :]
        return body

    def _sized(self, piece: bytes) -> bytes:
        """Read a chunk's size; what was taken for it."""
        end = piece.find(b"\n") + 1
        taken = piece[:end] if end else piece
        self._line += taken
        if not end and len(self._line) <= LONGEST_SIZE:
            return taken
        size = _size(self._line) if end and len(self._line) <= LONGEST_SIZE else 0
        self._line = b""
        self.over = size <= 0
        self._left = size + 2
        return taken


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    return int(digits, 16) if digits.isalnum() and digits.strip(HEX) == b"" else 0
