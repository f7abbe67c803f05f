"""How much it matters that a request is served: who is refused first in an overload."""

from __future__ import annotations

from enum import Enum


class Criticality(Enum):
    """CRITICAL is refused last, SHEDDABLE first; what nobody has said is DEFAULT (Google SRE book, chapter 21)."""

    CRITICAL = "critical"
    DEFAULT = "default"
    SHEDDABLE = "sheddable"
