"""The binary form of a load report: xds.data.orca.v3.OrcaLoadReport as protobuf's wire format, read strictly.

Eight fields of three kinds are all that there is to it, so that no protobuf library is needed. What is not exactly
that (a field cut short, of a wrong kind, there twice) says nothing; a field that we do not know is passed over.
"""

from __future__ import annotations

import struct
from base64 import b64decode
from collections.abc import Iterator

LONGEST = 4096
"""Characters of base64 that are looked at."""

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
"""Kinds on the wire."""

FIELDS = {1: "cpu_utilization", 2: "mem_utilization", 6: "rps_fractional", 7: "eps", 9: "application_utilization"}
NAMED_METRICS = 8

Field = tuple[int, int, bytes]


def read_binary(text: str) -> dict[str, float] | None:
    """The metrics by their names; None for what is no such report. Never raises."""
    if len(text) > LONGEST or not text.isascii():
        return None
    try:
        return _metrics(b64decode(text + "=" * (-len(text) % 4), validate=True))
    except (ValueError, IndexError, struct.error):  # not base64, cut short, a double of too few bytes
        return None


def _metrics(message: bytes) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for number, kind, value in _fields(message):
        if number == NAMED_METRICS:
            name, figure = _entry(kind, value)
        elif number in FIELDS:
            name, figure = FIELDS[number], _double(kind, value)
        else:
            continue
        if name in metrics:
            raise ValueError(name)
        metrics[name] = figure
    return metrics


def _entry(kind: int, value: bytes) -> tuple[str, float]:
    """One of a map: its key is field 1, its value field 2. What is left out is empty, or 0."""
    if kind != BYTES:
        raise ValueError("no map")
    parts = {number: (inner, each) for number, inner, each in _fields(value)}
    key, (inner, figure) = parts.get(1, (BYTES, b""))[1], parts.get(2, (DOUBLE, bytes(8)))
    return "named_metrics." + key.decode("ascii"), _double(inner, figure)


def _double(kind: int, value: bytes) -> float:
    if kind != DOUBLE:
        raise ValueError("no double")
    figure: float = struct.unpack("<d", value)[0]
    return figure


def _fields(message: bytes) -> Iterator[Field]:
    """Each field's number, kind and bytes. Raises IndexError or ValueError for what is none."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        end = at
        if kind == VARINT:
            _, end = _varint(message, at)
        elif kind == BYTES:
            size, at = _varint(message, at)
            end = at + size
        elif kind in (DOUBLE, FLOAT):
            end = at + (8 if kind == DOUBLE else 4)
        else:
            raise ValueError("no such kind")
        if end > len(message) or number == 0:
            raise ValueError("cut short")
        yield number, kind, message[at:end]
        at = end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number of at most ten bytes, and where it ends."""
    number = 0
    for place in range(10):
        byte = message[at + place]
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("too long")
