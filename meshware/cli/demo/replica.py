"""What every replica is: a name, a behaviour that its control port switches, and a count of the calls that reached it.

Run as a program by fleet.py, which hands over a service socket and a control socket. The service port does one
thing: take a slot, work, answer. The control port tells when calls arrived here, as seen from here.
"""

from __future__ import annotations

import argparse
import socket
import time
from collections.abc import Mapping
from typing import Any

from meshware.cli.demo.plan import Kind

SLOTS = 2
"""Calls that a replica works on at a time: its capacity is SLOTS / service time."""

SLOWER = 20.0
"""How much longer a slow replica works on a call."""

FAILS_IN = 0.001
"""Seconds until a failing replica has answered its 503; it does no work."""


class Replica:
    """One replica's behaviour and count, whatever serves it."""

    def __init__(self, name: str, service_time: float) -> None:
        self.name = name
        self.service_time = service_time
        self.kind = Kind.HEALTHY
        self._arrived: list[float] = []

    def arrive(self) -> bool:
        """A call has come; False when it fails at once."""
        self._arrived.append(time.monotonic())
        return self.kind is not Kind.FAILING

    @property
    def work(self) -> float:
        """Seconds that a call takes whose turn it is now, whatever was wrong while it waited for its slot."""
        return self.service_time * (SLOWER if self.kind is Kind.SLOW else 1.0)

    def behave(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Control: turn to `kind`, or to another service time."""
        self.kind = Kind(query.get("kind", self.kind.value))
        self.service_time = float(query.get("service_time", self.service_time))
        return {"kind": self.kind.value, "service_time": self.service_time}

    def arrivals(self, query: Mapping[str, str]) -> list[float]:
        """Control: when calls arrived (monotonic seconds), without the first `since`."""
        return self._arrived[int(query.get("since", "0")) :]


def started() -> tuple[Replica, list[socket.socket]]:
    """By the program's arguments: the replica, and its service and control sockets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--service-time", type=float, required=True)
    parser.add_argument("--fds", type=int, nargs=2, required=True, help="service socket, control socket")
    options = parser.parse_args()
    return Replica(options.name, options.service_time), [socket.socket(fileno=fd) for fd in options.fds]
