"""One endpoint's place on the board: what this worker says there, and what it hears of the others."""

from __future__ import annotations

from math import inf

from meshware.core.endpoint import CROWD, Endpoint
from meshware.core.service import Service
from meshware.sharing.answers import NONE, Answer, Tally, Telling, Told, added, faded, sensible, tally, told
from meshware.sharing.cells import Unusable
from meshware.sharing.layout import ANSWERS, RECENT_ANSWERS, WORKERS, start_of

TOLD = Told()


class Place:
    """Seated once; `row` is this worker's. For the housekeeper only, but for what it gives to the endpoint."""

    __slots__ = (
        "_floats", "_heard", "_recent", "_row", "_said", "_telling", "_versions", "endpoint", "key", "service", "slot",
    )  # fmt: skip

    def __init__(
        self, endpoint: Endpoint, service: Service, floats: memoryview[float], *, key: int, slot: int, row: int
    ) -> None:
        self.endpoint, self.service, self.key, self.slot = endpoint, service, key, slot
        self._floats = floats
        self._row = row
        self._versions: list[float] = []
        self._said = self._heard = self._recent = NONE
        telling = endpoint.attach(TOLD)
        assert isinstance(telling, Telling)
        self._telling = telling

    def begin(self, high: int, now: float) -> None:
        """Let the endpoint count on the board from now on, and know what the others have heard lately."""
        self.widen(high)
        self._heard = self._others(ANSWERS, high, self._said)
        self._tell(self._others(RECENT_ANSWERS, high, self._recent), now)

    def widen(self, high: int) -> None:
        """So many rows are in use."""
        load = self._row_of("load")
        self.endpoint.share(self._floats[load + self._row : load + self._row + 1], self._floats[load : load + high])

    def alone(self, now: float) -> None:
        """The endpoint is this worker's own again."""
        self.endpoint.alone()
        self.endpoint.detach(TOLD)
        self.service.ejection.follow(self.endpoint, 0.0, 0.0, now)
        if self.service.checks is not None:
            self.service.checks.follow(self.endpoint, 0.0, True, now)

    def end(self, now: float) -> None:
        """It is, and we say nothing of it any more."""
        self.alone(now)
        self._write("load", 0.0)
        self._write("word", 0.0)
        self._write("health", 0.0)

    def publish(self) -> list[Answer]:
        """Say what was heard since the last time, and what that was."""
        if not self._telling:
            return []
        answers = self._telling.drain()
        fresh = tally(answers)
        self._said, self._recent = added(self._said, fresh), added(self._recent, fresh)
        self._put()
        return answers

    def fade(self, seconds: float) -> None:
        """So much time has passed: less of it is recent."""
        if self._recent.good or self._recent.bad:
            self._recent = faded(self._recent, seconds)
            self._put()

    def hear(self, high: int, now: float) -> None:
        """Give the endpoint's meters what the others have said since the last time. Raises Unusable for nonsense."""
        if not 0 <= sum(self.endpoint.cells or ()) < CROWD:
            raise Unusable(f"nonsense is said of what is in flight at {self.endpoint.address}")
        versions = self._slice("version", high)
        if versions == self._versions or any(each % 2 for each in versions):
            return
        others = self._others(ANSWERS, high, self._said)
        recent = self._others(RECENT_ANSWERS, high, self._recent)
        if self._slice("version", high) != versions:
            return  # somebody was at it: at the next sweep then
        self._versions = versions
        fresh, self._heard = added(others, self._heard, sign=-1), others
        if fresh.good > recent.good + 1:  # it was not looked at for long: what is recent says more
            fresh = recent
        if sensible(fresh):  # else a worker has ended meanwhile: its share is gone from the sums
            self._tell(fresh, now)

    def say(self, word: float, until: float) -> bool:
        """When it was ejected, or minus when it came back; whether that is news."""
        if self._floats[self._row_of("word") + self._row] == word:
            return False
        self._write("until", until)
        self._write("word", word)
        return True

    def word(self, high: int) -> tuple[float, float]:
        """The latest word of the others, and until when the endpoint is out; 0.0: none."""
        latest, row = self._latest("word", high)
        until = self._floats[self._row_of("until") + row] if latest > 0 else 0.0
        return (latest, until) if until == until else (0.0, 0.0)

    def report(self) -> bool:
        """Say what this worker's health checks have found; whether that is news."""
        checks = self.service.checks
        word = 0.0 if checks is None else checks.word(self.endpoint)
        if self._floats[self._row_of("health") + self._row] == word:
            return False
        self._write("health", word)
        return True

    def obey(self, high: int, mine: bool, now: float) -> None:
        """Follow what the others' health checks have found; `mine`: it is this worker's turn to check."""
        if self.service.checks is not None:
            self.service.checks.follow(self.endpoint, self._latest("health", high)[0], mine, now)

    def _latest(self, name: str, high: int) -> tuple[float, int]:
        """The last word of the others, and whose it is; 0.0: none that makes sense."""
        words = self._slice(name, high)
        words[self._row : self._row + 1] = [0.0]
        latest = max(words, key=abs, default=0.0)
        return (latest, words.index(latest)) if abs(latest) < inf else (0.0, 0)

    def _tell(self, tally: Tally, now: float) -> None:
        self.service.ejection.heard(self.endpoint, round(tally.good), round(tally.bad), now)
        for error in told(self.endpoint, tally, now):
            self.service.failed("meter", error, now)

    def _others(self, names: tuple[str, ...], high: int, own: Tally) -> Tally:
        total = Tally(*(sum(self._slice(name, high)) for name in names))
        if not sensible(total):
            raise Unusable(f"nonsense is said of answers of {self.endpoint.address}")
        return added(total, own, sign=-1)

    def _put(self) -> None:
        """What belongs together goes between two versions."""
        version = self._floats[self._row_of("version") + self._row]
        self._write("version", version + 1)
        for name, figure in zip((*ANSWERS, *RECENT_ANSWERS), (*self._said, *self._recent), strict=True):
            self._write(name, figure)
        self._write("version", version + 2)

    def _row_of(self, name: str) -> int:
        return start_of(name) + self.slot * WORKERS

    def _slice(self, name: str, high: int) -> list[float]:
        start = self._row_of(name)
        return list(self._floats[start : start + high])

    def _write(self, name: str, figure: float) -> None:
        self._floats[self._row_of(name) + self._row] = figure
