"""Zones: tells the loss of a whole zone from that of an endpoint, by connection failures (algorithms study, section 6).

Whoever waits for each endpoint of a lost zone to refuse by itself loses a call for each of them.
"""

from __future__ import annotations

from meshware.core.endpoint import Endpoint, Locality

ROW, WITNESSES = 3, 2
"""Connection failures in a row, and the endpoints that they are of at least."""


class Zones:
    """Rows of connection failures, by locality. Its owner's lock guards it; `good` is one dict operation."""

    def __init__(self) -> None:
        self.rows: dict[Locality, tuple[Endpoint, ...]] = {}

    def bad(self, endpoint: Endpoint) -> bool:
        """No connection was had; whether its zone is lost. The next row begins anew."""
        zone = endpoint.locality
        if not any(zone):
            return False
        row = (*self.rows.get(zone, ()), endpoint)[-ROW:]
        lost = len(row) == ROW and len(set(row)) >= WITNESSES
        self.rows[zone] = () if lost else row
        return lost

    def good(self, endpoint: Endpoint) -> None:
        """It has answered, so its zone is there."""
        self.rows.pop(endpoint.locality, None)
