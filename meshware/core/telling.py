"""Telling: what is looked at while an endpoint is picked, for who wants to know why that one.

A pick that is told is the pick: what a picker tells is what it decides by, not what was so a moment later. Only calls
that are explained have anything of this (meshware/explain/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Picker, Rng


class Unforeseen(Exception):
    """What a picker would do cannot be told without doing it."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An endpoint that was looked at: its score, and what that is made of. Where scores decide, the least is taken."""

    address: str
    score: float
    terms: Mapping[str, float]


@dataclass(slots=True)
class Pick:
    """One question to a picker: whom it looked at, what else it went by, and whom it took.

    `facts` are a turn, a key, a share and their like; `draws` the numbers that chance gave. `failed` tells why the
    picker gave no answer, or told nothing.
    """

    endpoint: str | None = None
    candidates: dict[str, Candidate] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    draws: tuple[float, ...] = ()
    failed: str | None = None

    def candidate(self, endpoint: Endpoint, score: float, /, **terms: float) -> None:
        """This one is looked at; if again, that is what counts."""
        self.candidates[endpoint.address] = Candidate(endpoint.address, score, terms)

    def fact(self, **facts: Any) -> None:
        """What else decides."""
        for name, value in facts.items():
            self.facts[name] = value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def anew(self, because: str) -> None:
        """All that was looked at counts no more."""
        self.candidates.clear()
        self.facts["looked again"] = because


class Told:
    """A picker as a told call asks it. An imagined one raises Unforeseen where the picker cannot tell."""

    __slots__ = ("_pick", "_picker")

    def __init__(self, picker: Picker, pick: Pick) -> None:
        self._picker = picker
        self._pick = pick

    def pick(self, call: Call) -> Endpoint:
        """What it picks, told where it can."""
        if self._pick.candidates:
            self._pick.anew("asked again")
        explain = getattr(self._picker, "explain", None)
        if explain is not None:
            endpoint: Endpoint = explain(call, self._pick)
            return endpoint
        if call.imagined:
            raise Unforeseen(f"{type(self._picker).__qualname__} does not explain itself")
        return self._picker.pick(call)


class Tape:
    """Chance, and what it has given so far. For one call, so as thread-safe as that."""

    __slots__ = ("_rng", "drawn")

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self.drawn: list[float] = []

    def random(self) -> float:
        """As the other has it."""
        self.drawn.append(self._rng.random())
        return self.drawn[-1]
