"""One endpoint's place on the board: what this worker says there, and what it hears of the others."""

from __future__ import annotations

from math import inf

from meshware.core.endpoint import CROWD, Endpoint
from meshware.core.service import Service
from meshware.sharing.answers import NONE, Heard, Pending, Tally, added, faded, sensible, since, tally, told
from meshware.sharing.cells import Unusable
from meshware.sharing.layout import ANSWERS, FIGURES, OF_ENDPOINTS, WORKERS, start_of


class Place:
    """Seated once; `row` is this worker's. For the housekeeper only, but for what it gives to the endpoint."""

    __slots__ = (
        "_answers", "_floats", "_health", "_heard", "_load", "_pending", "_recent", "_row", "_said", "_until",
        "_version", "_versions", "_word", "endpoint", "key", "service", "slot",
    )  # fmt: skip

    def __init__(
        self, endpoint: Endpoint, service: Service, floats: memoryview[float], *, key: int, slot: int, row: int
    ) -> None:
        self.endpoint, self.service, self.key, self.slot = endpoint, service, key, slot
        self._floats = floats
        self._row = row
        self._version, self._load, self._word, self._until, self._health = (
            start_of(name) + slot * WORKERS for name in OF_ENDPOINTS
        )
        self._answers = start_of(ANSWERS) + slot * WORKERS * FIGURES
        self._said = self._recent = NONE
        self._versions: list[float] = []  # of the others, when they were heard last
        self._heard: dict[int, Tally] = {}  # by row, what they had said by then
        self._pending = Pending()

    def begin(self, high: int, now: float) -> None:
        """Let the endpoint count on the board from now on, and know what the others have heard lately."""
        self.widen(high)
        self.hear(high, now)

    def widen(self, high: int) -> None:
        """So many rows are in use."""
        mine = self._load + self._row
        cells = self._floats[self._load : self._load + high]
        self.endpoint.share(self._floats[mine : mine + 1], cells, self._pending)

    def alone(self, now: float) -> None:
        """The endpoint is this worker's own again."""
        self.endpoint.alone()
        self.service.ejection.follow(self.endpoint, 0.0, 0.0, now)
        if self.service.checks is not None:
            self.service.checks.follow(self.endpoint, 0.0, True, now)

    def end(self, now: float) -> None:
        """It is, and we say nothing of it any more."""
        self.alone(now)
        self._write(self._load, 0.0)
        self._write(self._word, 0.0)
        self._write(self._health, 0.0)

    def publish(self) -> Heard | None:
        """Say what was heard since the last time, and what that was; None: nothing."""
        if not self._pending:
            return None
        heard = self._pending.drain()
        fresh = tally(heard)
        self._said, self._recent = added(self._said, fresh), added(self._recent, fresh)
        self._put()
        return heard

    def fade(self, seconds: float) -> None:
        """So much time has passed: less of it is recent."""
        if self._recent.good or self._recent.bad:
            self._recent = faded(self._recent, seconds)
            self._put()

    def hear(self, high: int, now: float) -> None:
        """Give the endpoint's meters what the others have said since the last time. Raises Unusable for nonsense."""
        if not 0 <= sum(self.endpoint.cells or ()) < CROWD:
            raise Unusable(f"nonsense is said of what is in flight at {self.endpoint.address}")
        versions = self._slice(self._version, high)
        if versions == self._versions:
            return
        known = self._versions + [0.0] * (high - len(self._versions))
        self._versions, news = versions, NONE
        for row, version in enumerate(versions):
            if version != known[row] and row != self._row:
                fresh = self._news(row, version)
                if fresh is None:  # its worker is at it: at the next sweep then
                    versions[row] = known[row]
                else:
                    news = added(news, fresh)
        if news is not NONE:
            self._tell(news, now)

    def _news(self, row: int, version: float) -> Tally | None:
        """What another worker has said since it was heard last; None when it is at it."""
        start = self._answers + row * FIGURES
        figures = self._floats[start : start + FIGURES].tolist()
        if version % 2 or self._floats[self._version + row] != version:
            return None
        said, recent = Tally(*figures[: FIGURES // 2]), Tally(*figures[FIGURES // 2 :])
        before = self._heard.get(row)
        fresh = recent if before is None else since(before, said)
        if fresh.good > recent.good + 1:  # it was not looked at for long: what is recent says more
            fresh = recent
        if not sensible(fresh):
            if not (sensible(said) and sensible(recent)):
                raise Unusable(f"nonsense is said of answers of {self.endpoint.address}")
            fresh = NONE  # it is another worker's row by now
        self._heard[row] = said
        return fresh

    def say(self, word: float, until: float) -> bool:
        """When it was ejected, or minus when it came back; whether that is news."""
        if self._floats[self._word + self._row] == word:
            return False
        self._write(self._until, until)
        self._write(self._word, word)
        return True

    def word(self, high: int) -> tuple[float, float]:
        """The latest word of the others, and until when the endpoint is out; 0.0: none."""
        latest, row = self._latest(self._word, high)
        until = self._floats[self._until + row] if latest > 0 else 0.0
        return (latest, until) if until == until else (0.0, 0.0)

    def report(self) -> bool:
        """Say what this worker's health checks have found; whether that is news."""
        checks = self.service.checks
        word = 0.0 if checks is None else checks.word(self.endpoint)
        if self._floats[self._health + self._row] == word:
            return False
        self._write(self._health, word)
        return True

    def obey(self, high: int, mine: bool, now: float) -> None:
        """Follow what the others' health checks have found; `mine`: it is this worker's turn to check."""
        if self.service.checks is not None:
            self.service.checks.follow(self.endpoint, self._latest(self._health, high)[0], mine, now)

    def _latest(self, start: int, high: int) -> tuple[float, int]:
        """The last word of the others, and whose it is; 0.0: none that makes sense."""
        words = self._slice(start, high)
        words[self._row : self._row + 1] = [0.0]
        latest = max(words, key=abs, default=0.0)
        return (latest, words.index(latest)) if abs(latest) < inf else (0.0, 0)

    def _tell(self, tally: Tally, now: float) -> None:
        self.service.ejection.heard(self.endpoint, round(tally.good), round(tally.bad), now)
        for error in told(self.endpoint, tally, now):
            self.service.failed("meter", error, now)

    def _put(self) -> None:
        """What belongs together goes between two versions."""
        version = self._floats[self._version + self._row]
        self._write(self._version, version + 1)
        for at, figure in enumerate((*self._said, *self._recent), self._answers + self._row * FIGURES):
            self._floats[at] = figure
        self._write(self._version, version + 2)

    def _slice(self, start: int, high: int) -> list[float]:
        return list(self._floats[start : start + high])

    def _write(self, start: int, figure: float) -> None:
        self._floats[start + self._row] = figure
