"""Response time: the least R_i = sum_j T_ij / m_i, T_ij the seconds spent waiting for endpoint i in request j.

A failure or timeout counts at least its penalty. Alone it knows nothing of load, so that several clients run to
the same fast endpoint one after the other: prefer `combined`, or `adaptive`.
"""

from __future__ import annotations

from meshware.balancing.measured import MeasuredMean
from meshware.balancing.meters import ResponseTime


class LeastResponseTime(MeasuredMean):
    """`window`: time constant of forgetting, in seconds; None: the mean of all that ever was."""

    def __init__(self, *, window: float | None = 5.0, choices: int = 4, select: str = "choices") -> None:
        super().__init__(ResponseTime(window), choices=choices, select=select)
