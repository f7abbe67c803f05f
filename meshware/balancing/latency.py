"""Latency: the least D_i = sum_j T_ij / m_i, T_ij the network's part of request j: distance, not service.

Seconds to connect and to the first byte, less the service time that the callee reports; without a report all of
them. A failure counts at least its penalty. Near endpoints are crowded for being near: not for use alone.
"""

from __future__ import annotations

from meshware.balancing.measured import MeasuredMean
from meshware.balancing.meters import Latency


class LeastLatency(MeasuredMean):
    """`window`: time constant of forgetting, in seconds; None: the mean of all that ever was."""

    def __init__(self, *, window: float | None = 5.0, choices: int = 4, select: str = "choices") -> None:
        super().__init__(Latency(window), choices=choices, select=select)
