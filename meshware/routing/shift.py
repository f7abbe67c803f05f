"""Shift: calls go from one service to another in steps, and back by themselves when that fails.

It decides by what becomes of the new one's calls, and by time. What the workers of a host know together of it, and what
somebody orders, comes as a Standing with a higher version (see meshware/shifting.py).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.core.events import ShiftChanged
from meshware.core.outcome import Verdict
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


@dataclass(frozen=True, slots=True)
class ShiftOptions:
    """Shares by step, from above 0 to 1; seconds of each. The guard: shares and seconds; None: not looked at."""

    steps: Sequence[float]
    hold: float = 60.0
    error_rate: float | None = 0.05
    p99: float | None = None
    minimum: int = 20


class Standing(NamedTuple):
    """Where a shift stands: since when (monotonic seconds of this host), why, and how often that has changed."""

    state: str = RUNNING
    step: int = 0
    since: float = 0.0
    reason: str = ""
    version: int = 0

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
        self._bad: deque[bool] = deque(maxlen=max(RECENT, options.minimum))
        self._took: deque[float] = deque(maxlen=max(RECENT, options.minimum))
        self._calls = self._failed = 0
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
        with self._lock:
            self._calls += 1
            self._failed += verdict is not Verdict.SUCCESS
            self._bad.append(verdict is not Verdict.SUCCESS)
            if outcome is not None:
                self._took.append(outcome.elapsed)
            limit, calls, bad = self.options.error_rate, len(self._bad), sum(self._bad)
        if limit is not None and calls >= self.options.minimum and bad > max(FEW - 1, limit * calls) and self._guarded:
            self.steer("revert", now, reason=f"{bad} of its last {calls} calls failed")

    @property
    def _guarded(self) -> bool:
        """Whether it would go back by itself; what was promoted is by order or by all having gone well."""
        return self.standing.state in (RUNNING, PAUSED)

    def tick(self, now: float) -> None:
        """From time to time: look at p99, and go a step on when it is time and enough calls have gone well."""
        standing, options = self.standing, self.options
        with self._lock:
            enough = len(self._took) >= options.minimum
            p99 = sorted(self._took)[int(0.99 * (len(self._took) - 1))] if enough and options.p99 is not None else 0.0
        if self._guarded and options.p99 is not None and p99 > options.p99:
            self.steer("revert", now, reason=f"p99 of its last calls was {p99:.3g} s")
        elif standing.state == RUNNING and enough and now - standing.since >= options.hold:
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
            self._bad.clear()
            self._took.clear()
            self._calls = self._failed = 0
            self._divide()
        self._emit(ShiftChanged(self.service, now, self.name, self.to, other.state, 100 * self.share, other.reason))

    def status(self, now: float) -> dict[str, Any]:
        """As plain data."""
        standing = self.standing
        return {
            "shift": self.name, "service": self.service, "to": self.to, "state": standing.state,
            "percentage": 100 * self.share, "age": max(0.0, now - standing.since), "reason": standing.reason,
            "calls": self._calls, "failed": self._failed,
        }  # fmt: skip
