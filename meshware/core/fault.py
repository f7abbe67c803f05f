"""Fault: what is to go wrong with calls on purpose, as settings, a test or a trusted caller say. Facts only."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with a share (0 to 1) of the calls that it is for, until a monotonic time.

    Exactly one of `delay` (seconds), `abort` (a status), `reset` and `partial_body` (bytes). `counts`: as if the
    endpoint had done it; otherwise it befalls the call as a whole, and nothing is learned from it.
    """

    delay: float | None = None
    abort: int | None = None
    reset: bool = False
    partial_body: int | None = None
    share: float = 1.0
    methods: frozenset[str] | None = None
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    until: float = inf
    counts: bool = False

    def __str__(self) -> str:
        if self.delay is not None:
            what = f"delay {self.delay:g} s"
        elif self.abort is not None:
            what = f"abort {self.abort}"
        else:
            what = "reset" if self.reset else f"body of {self.partial_body} bytes"
        return what if self.share >= 1.0 else f"{what}, {100 * self.share:g} %"


class Ordered(NamedTuple):
    """A fault that the inbound request asks for in calls to one service."""

    service: str
    fault: Fault


class Injection(NamedTuple):
    """What goes wrong with one call or attempt: so many seconds pass, and then this, if anything."""

    delay: float
    end: Fault | None
