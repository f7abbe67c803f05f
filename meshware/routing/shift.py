"""Shift: calls go from one service to another in steps, and back by themselves when that fails.

It decides by what becomes of the new one's calls, those of the host's other workers among them (see
meshware/sharing/watch.py), and by time. What another worker has decided, or somebody orders, comes as a Standing with a
higher version (see meshware/shifting.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.core.events import ShiftChanged
from meshware.core.outcome import Verdict
from meshware.routing.recent import Counts, Recent
from meshware.routing.split import Key, Split

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.outcome import Outcome
    from meshware.core.plan import Plan
    from meshware.core.policy import Rng
    from meshware.core.request import Request

RUNNING, PAUSED, PROMOTED, REVERTED = "running", "paused", "promoted", "reverted"
STATES = (RUNNING, PROMOTED, PAUSED, REVERTED)
"""Of two that were chosen at once the later one here counts: it does less harm."""

DEEDS = ("pause", "resume", "revert", "promote")

RECENT = 100
"""Calls of the new service that the guard looks back at, where its minimum is not more."""

FEW = 3
"""So many must have failed, whatever share of the calls that is: one or two may have failed by themselves."""

TAIL = 0.01
"""The share of the calls beyond p99. One call alone is none, however few there are."""


@dataclass(frozen=True, slots=True)
class ShiftOptions:
    """Shares by step, from above 0 to 1; seconds of each. The guard: shares and seconds; None: not looked at."""

    steps: Sequence[float]
    hold: float = 60.0
    error_rate: float | None = 0.05
    p99: float | None = None
    minimum: int = 20

    def fault(self, recent: Counts) -> str:
        """What is wrong with these calls, in words; empty: nothing, or too few to say."""
        calls, failed, _, slow = recent
        if calls < self.minimum:
            return ""
        if self.error_rate is not None and failed > max(FEW - 1, self.error_rate * calls):
            return f"{failed:.0f} of its last {calls:.0f} calls failed"
        if self.p99 is not None and slow > max(1, TAIL * calls):
            return f"{slow:.0f} of its last {calls:.0f} calls took longer than {self.p99:g} s"
        return ""


class Standing(NamedTuple):
    """Where a shift stands: since when (monotonic seconds of this host), why, and how often that has changed."""

    state: str = RUNNING
    step: int = 0
    since: float = 0.0
    reason: str = ""
    version: int = 0

    @property
    def epoch(self) -> str:
        """What calls are counted for together: of another epoch each worker of the host counts anew."""
        return f"{self.state} {self.step} {self.version}"

    def after(self, deed: str, now: float, *, last: int, reason: str = "by hand") -> Standing:
        """Where it stands after an order; itself where that changes nothing. `last`: its last step."""
        state, step = self.state, self.step
        if deed == "pause" and state == RUNNING:
            state = PAUSED
        elif deed == "resume" and state != RUNNING:
            state, step = RUNNING, 0 if state == REVERTED else step
        elif deed == "revert":
            state = REVERTED
        elif deed == "promote":
            state, step = PROMOTED, last
        else:
            return self
        return Standing(state, step, now, reason, self.version + 1)

    def yields_to(self, other: Standing) -> bool:
        """Whether the other one is later, or of two at once the safer one."""
        return (self.version, STATES.index(self.state)) < (other.version, STATES.index(other.state))


class Shift:
    """One shift of the settings. Thread-safe; it stands where a route has its split.

    `service`, `to`: the names of both services; `made_of` what it was made of; `emit` hears of each change.
    """

    def __init__(
        self,
        name: str,
        options: ShiftOptions,
        *,
        service: str,
        to: str,
        made_of: Any,
        emit: Callable[[object], None],
        now: float,
    ) -> None:
        self.name, self.options = name, options
        self.service, self.to, self.made_of = service, to, made_of
        self._emit = emit
        self._lock = Lock()
        self._recent = Recent(max(RECENT, options.minimum))
        self._counted = self._untold = Counts()
        self._parts: tuple[Plan, Plan, Key | None] | None = None
        self._split: Split[Plan]
        self.standing = Standing(since=now)

    @property
    def share(self) -> float:
        """Of the calls, how many go to the new service."""
        state, step, *_ = self.standing
        return 0.0 if state == REVERTED else self.options.steps[step]

    @property
    def now(self) -> Split[Plan]:
        """How calls are split between both, until that changes."""
        return self._split

    def between(self, old: Plan, new: Plan, key: Key | None) -> None:
        """These are the plans from now on, of the old service's calls and of the new one's."""
        self._parts = old, new, key
        self._divide()

    def _divide(self) -> None:
        if self._parts is not None:
            old, new, key = self._parts
            self._split = Split([(f"{self.name}:new", self.share, new), (f"{self.name}:old", 1 - self.share, old)], key)

    def pick(self, request: Request, context: Any, rng: Rng) -> Plan:
        """By which plan this call goes."""
        return self._split.pick(request, context, rng)

    def decided(self, call: Call, outcome: Outcome | None, now: float) -> None:
        """What became of one of the new service's calls; None: it was refused before anything was sent."""
        verdict = Verdict.FAILURE if outcome is None else outcome.verdict
        if verdict is Verdict.NEUTRAL:
            return
        limit = self.options.p99
        slow = outcome is not None and limit is not None and outcome.elapsed > limit
        one = Counts(1, verdict is not Verdict.SUCCESS, outcome is not None, slow)
        with self._lock:
            self._untold = self._untold.plus(one)
            standing, recent = self._count(one)
        self._judge(standing, recent, now)

    def hear(self, epoch: str, counts: Sequence[float], now: float) -> None:
        """So much more have the host's other workers counted; of another epoch it means nothing."""
        with self._lock:
            if epoch != self.standing.epoch:
                return
            standing, recent = self._count(Counts(*counts))
        self._judge(standing, recent, now)

    def drain(self) -> tuple[str, Counts]:
        """What was counted here since the last time, and in which epoch."""
        with self._lock:
            untold, self._untold = self._untold, Counts()
            return self.standing.epoch, untold

    @property
    def told(self) -> bool:
        """Whether any of what it has counted was told, or heard, before."""
        with self._lock:
            return self._counted != self._untold

    def _count(self, counts: Counts) -> tuple[Standing, Counts]:
        self._counted = self._counted.plus(counts)
        self._recent.add(counts)
        return self.standing, self._recent.sum

    def _judge(self, standing: Standing, recent: Counts, now: float) -> None:
        """Go back by itself; what was promoted is by order or by all having gone well."""
        fault = self.options.fault(recent) if standing.state in (RUNNING, PAUSED) else ""
        if fault:
            self.stand(standing.after("revert", now, last=0, reason=fault), now)

    def tick(self, now: float) -> None:
        """From time to time: go a step on when it is time and enough calls have gone well."""
        with self._lock:
            standing, answered = self.standing, self._counted.answered
        options = self.options
        if standing.state != RUNNING or answered < options.minimum or now - standing.since < options.hold:
            return
        last = standing.step + 1 == len(options.steps)
        state, step = (PROMOTED, standing.step) if last else (RUNNING, standing.step + 1)
        self.stand(Standing(state, step, now, "all went well", standing.version + 1), now)

    def steer(self, deed: str, now: float, *, reason: str = "by hand") -> None:
        """Pause, resume, revert or promote it."""
        self.stand(self.standing.after(deed, now, last=len(self.options.steps) - 1, reason=reason), now)

    def stand(self, other: Standing, now: float) -> None:
        """Stand there from now on, unless that is older; what was counted is forgotten."""
        with self._lock:
            if not self.standing.yields_to(other):
                return
            self.standing = other
            self._recent.clear()
            self._counted = self._untold = Counts()
            self._divide()
        self._emit(ShiftChanged(self.service, now, self.name, self.to, other.state, 100 * self.share, other.reason))

    def status(self, now: float) -> dict[str, Any]:
        """As plain data."""
        standing, counted = self.standing, self._counted
        return {
            "shift": self.name, "service": self.service, "to": self.to, "state": standing.state,
            "percentage": 100 * self.share, "age": max(0.0, now - standing.since), "reason": standing.reason,
            **counted.plain(),
        }  # fmt: skip
