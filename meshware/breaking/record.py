"""What ejection is told to do (EjectionOptions), and what it knows of one endpoint (Record)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from meshware.breaking.gate import Gate
from meshware.breaking.outliers import OutlierOptions
from meshware.breaking.slowness import SlowOptions, times
from meshware.breaking.windows import RateWindow

if TYPE_CHECKING:
    from meshware.core.attempt import Attempt


@dataclass(frozen=True, slots=True)
class EjectionOptions:
    """Counts in a row, a success rate below which, and times in seconds. `outliers` and `slow`: None is off."""

    enabled: bool = True
    consecutive: int = 3
    success_rate: float = 0.8
    minimum: int = 5
    window: float = 10.0
    refused: int = 1
    connect_timeouts: int = 2
    base: float = 1.0
    cap: float = 16.0
    jitter: float = 0.25
    max_share: float = 0.5
    probe_interval: float = 1.0
    slow_start: float = 10.0
    outliers: OutlierOptions | None = None
    slow: SlowOptions | None = None


class Record:
    """What ejection knows of one endpoint."""

    __slots__ = (
        "connecting", "followed", "gate", "heard", "over", "probe_at", "reason", "refused", "row", "since", "times",
        "trial", "unconnected", "until", "wait", "window", "word",
    )  # fmt: skip

    def __init__(self, options: EjectionOptions) -> None:
        self.window = RateWindow(options.window)
        self.times = None if options.slow is None else times()
        self.over = inf  # seconds after which its trial has come too late
        self.gate: Gate | None = None
        self.trial: Attempt | None = None  # the last by which it came back: its body may still break off
        self.row = self.refused = self.unconnected = 0
        self.since = -inf  # of the last ejection or return
        self.until = self.wait = 0.0
        self.connecting = False
        self.probe_at = 0.0
        self.reason = ""
        self.word = self.heard = 0.0  # when it was ejected, or minus when it came back: as found here, and by others
        self.followed = False  # whether another worker of this host sees to its return
