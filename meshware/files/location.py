"""Places in plain data: keys and indexes from the top, and how they are written."""

from __future__ import annotations

Location = tuple[str | int, ...]
"""Keys and indexes from the top: `("services", "inventory", "endpoints", 0)`."""


def spelled(location: Location) -> Location:
    """A location in the one spelling of keys and names: lower case, without a trailing dot."""
    return tuple(part.lower().removesuffix(".") if isinstance(part, str) else part for part in location)


def dotted(location: Location) -> str:
    """`services.inventory.endpoints[0].weight`; of a key that nobody could read, the beginning."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":  # the key itself is wrong, not what stands there
            short = part if len(part) <= 80 else part[:77] + "..."
            path += f".{short}" if path else short
    return path
