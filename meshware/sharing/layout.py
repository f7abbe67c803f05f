"""Where what stands on a board: tables of cells, one after another.

A table of endpoints or services is a row of W cells for each, one a worker, so that what all workers say of one
endpoint is one slice. Of answers each worker has several cells side by side, which are read when that one's version
has changed: odd while its writer is at it.
"""

from __future__ import annotations

from itertools import accumulate

from meshware.sharing.answers import Tally
from meshware.sharing.cells import HEADER

WORKERS, ENDPOINTS, SERVICES, SHIFTS = 64, 512, 64, 32
"""A board has room for so many; who comes later goes on alone, and a mesh's further endpoints are each worker's own."""

SERVED = ("served_in_flight", "served_slots", "served_rps", "served_eps", "served_busy")
OF_WORKERS = ("pid", "news", "beat", *SERVED)
"""One cell a worker: process id, when it last had news of ejections, when it swept last, and what it is busy with."""

OF_ENDPOINTS = ("version", "load", "word", "until", "health")
"""One cell a worker and endpoint: `load` in flight; `word`, when it was ejected, or minus when it came back, and
`until` when it is out; `health`, when it was found ailing, or minus when it was well again. `version` is of answers.
"""

ANSWERS, FIGURES = "answers", 2 * len(Tally._fields)
"""So many cells a worker and endpoint: two tallies, since the worker began and of the last seconds (answers.py)."""

OF_SERVICES = ("tokens", "calls", "in_flight", "limit")
"""One cell a worker and service: its retry budget and the calls that this follows, calls in flight and their limit."""

COUNTED = ("shift_calls", "shift_failed", "shift_answered", "shift_slow")
OF_SHIFTS = ("shift_version", "shift_epoch", *COUNTED)
"""One cell a row and shift: what those who had this row have counted of the step that the epoch, a key, stands for."""

_SIZES = {
    "header": HEADER,
    **dict.fromkeys(OF_WORKERS, WORKERS),
    "endpoint": ENDPOINTS,  # whose place it is: a key; and when anybody last had a use for it
    "endpoint_seen": ENDPOINTS,
    **dict.fromkeys(OF_ENDPOINTS, ENDPOINTS * WORKERS),
    ANSWERS: ENDPOINTS * WORKERS * FIGURES,
    "service": SERVICES,
    **dict.fromkeys(OF_SERVICES, SERVICES * WORKERS),
    "shift": SHIFTS,
    **dict.fromkeys(OF_SHIFTS, SHIFTS * WORKERS),
}
CELLS = sum(_SIZES.values())
_STARTS = dict(zip(_SIZES, (0, *accumulate(_SIZES.values())), strict=False))


def start_of(name: str) -> int:
    """The first cell of a table."""
    return _STARTS[name]


def table(name: str) -> slice:
    """The cells of a table."""
    return slice(_STARTS[name], _STARTS[name] + _SIZES[name])


def strided(name: str, row: int) -> slice:
    """One worker's cells of a table."""
    return slice(_STARTS[name] + row, _STARTS[name] + _SIZES[name], WORKERS)
