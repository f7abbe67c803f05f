"""An endpoint's host name may have several addresses: one time to connect for them all.

`socket.create_connection`, and urllib3's after it, give each address the whole timeout: a name with four dead ones
overshot its deadline fourfold. Blocks the calling thread; for sync doors only.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import TypeVar

from meshware.outbound.exchange import LEAST

T = TypeVar("T")


def connected(
    endpoint: tuple[str, int],
    connect: Callable[[tuple[str, int], float], T],
    *,
    within: float,
    family: int = socket.AF_UNSPEC,
) -> T:
    """What `connect(address, seconds)` gives for the first address that it can connect to, `within` seconds for all.

    Each gets its share of what is left: one where nobody answers (IPv6 that leads nowhere) leaves time for the next.
    What goes wrong with the last one tried is raised, as `connect` raises it; so is a name that cannot be resolved,
    which `connect` gets as it is.
    """
    until = time.monotonic() + within
    *others, last = _addresses(endpoint, family)
    for number, address in enumerate(others):
        try:
            return connect(address, _left(until) / (len(others) + 1 - number))
        except Exception:  # of whichever client: the next address may do
            if time.monotonic() >= until:
                raise
    return connect(last, _left(until))


def _left(until: float) -> float:
    return max(LEAST, until - time.monotonic())


def _addresses(endpoint: tuple[str, int], family: int) -> list[tuple[str, int]]:
    """The endpoint by each of its addresses once; by its name where the system knows none."""
    try:
        found = socket.getaddrinfo(*endpoint, family, socket.SOCK_STREAM)
        numbers = dict.fromkeys(socket.getnameinfo(each[4], _NUMERIC)[0] for each in found)  # with an IPv6 scope
    except (OSError, UnicodeError):
        return [endpoint]
    return [(number, endpoint[1]) for number in numbers]


_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
