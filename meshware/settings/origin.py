"""Where settings were written: the raw ones of a source, with the lines of its file and what stands above it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from meshware.core.errors import Problem
from meshware.files.location import Location, dotted, spelled

__all__ = ["Location", "Source", "dotted", "spelled"]


@dataclass(frozen=True, slots=True)
class Source:
    """Raw settings, whatever they are, and where each of them was written, as far as that is known."""

    settings: Any
    name: str | None = None
    """A file's path, a module's; None for a dict that was handed in."""
    lines: Mapping[Location, int] = field(default_factory=dict)
    """Lines in the file, by `spelled` locations."""
    overrides: Mapping[Location, str] = field(default_factory=dict)
    """Environment variables that set something, by `spelled` locations."""
    problems: tuple[Problem, ...] = ()
    """What was wrong already while it was read."""

    def where(self, location: Location) -> str | None:
        """`mesh.yaml:7`, a variable's name, or the source's own: what is nearest above the location.

        Before that, the variables that set something in it, such as an option of a strategy: all of them.
        """
        place = spelled(location)
        within = [variable for each, variable in self.overrides.items() if each[: len(place)] == place]
        if within:
            return ", ".join(dict.fromkeys(within))
        above = [place[:length] for length in range(len(place), -1, -1)]
        for each in above:
            if each in self.overrides:
                return self.overrides[each]
        for each in above:
            if each in self.lines:
                return f"{self.name}:{self.lines[each]}"
        return self.name
