"""The shifts of a mesh: kept going by its housekeeper, and of one mind with the other workers of the host.

A worker that has changed where a shift stands writes it down; who finds a later word there follows it. Without a
`service` in the settings, or a place for the board, each process goes by what it sees itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from meshware.routing.shift import STATES, Shift, Standing

if TYPE_CHECKING:
    from meshware.core.policy import Hands
    from meshware.sharing.shifts import Entries, Ledger

LOOK = 0.25
"""Seconds between two looks."""

LIMIT = 10.0
"""Seconds after which a look at the file counts as hung."""


class Shifting:
    """For the housekeeper's thread; what `ledger` needs is done by a hand. `failed` is told what is wrong with it."""

    def __init__(
        self,
        shifts: Sequence[Shift],
        *,
        ledger: Ledger | None,
        clock: Callable[[], float],
        failed: Callable[[Exception], None],
    ) -> None:
        self.shifts = shifts
        self.due = 0.0
        self._ledger, self._clock, self._failed = ledger, clock, failed
        self._said = ""

    def keep(self, now: float, hands: Hands) -> None:
        """Do what is due. Must not block."""
        if now < self.due:
            return
        self.due = now + LOOK
        for shift in self.shifts:
            shift.tick(now)
        if self._ledger is not None:
            hands.give(self, self._agree, limit=LIMIT, done=self._agreed)

    def begin(self) -> None:
        """Know from the start what others have written down."""
        try:
            self._follow()
        except Exception as error:
            self._failed(error)

    def _agree(self) -> None:
        """Follow what others have written down later, and write down what they do not know. On a hand."""
        said = self._follow()
        if self._ledger is not None and self._written(said) != said:
            self._ledger.change(self._written)

    def _follow(self) -> Entries:
        said, now = {} if self._ledger is None else self._ledger.read(), self._clock()
        for shift in self.shifts:
            known = standing_of(said.get(shift.name), shift.made_of, now)
            if known is not None:
                shift.stand(known, now)
        return said

    def _written(self, said: Entries) -> Entries:
        now = self._clock()
        for shift in self.shifts:
            known = standing_of(said.get(shift.name), shift.made_of, now)
            if known is None or known.yields_to(shift.standing):
                said = said | {shift.name: written(shift.standing, shift.made_of)}
        return said

    def _agreed(self, result: Any, error: Exception | None, now: float) -> None:
        text = "" if error is None else str(error)
        if error is not None and text != self._said:
            self._failed(error)
        self._said = text


def fingerprint(settings: Any) -> str:
    """A short text that stands for a shift's settings: with others it begins anew."""
    return blake2b(settings.in_full().encode(), digest_size=8).hexdigest()


def written(standing: Standing, settings: Any) -> dict[str, Any]:
    """What is written down of a shift with these settings."""
    return {**standing._asdict(), "of": fingerprint(settings)}


def standing_of(entry: Mapping[str, Any] | None, settings: Any, now: float) -> Standing | None:
    """What was written down of a shift with these settings; None: nothing that makes sense."""
    if entry is None or entry.get("of") != fingerprint(settings) or entry.get("state") not in STATES:
        return None
    step, since, version = entry.get("step"), entry.get("since"), entry.get("version")
    if not (isinstance(step, int) and isinstance(since, float) and isinstance(version, int)):
        return None
    if not 0 <= step < len(settings.steps):
        return None
    return Standing(entry["state"], step, min(since, now), str(entry.get("reason", "")), version)
