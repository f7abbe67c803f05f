"""Explanation: what was decided of one call, or would be, and by what. Plain data, without a hold on anything live."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshware.core.telling import Pick
    from meshware.routing.telling import Drawn, Looked


@dataclass(frozen=True, slots=True)
class Limit:
    """Seconds, by whose word, and who else had one: the least that somebody chose counts, else the default."""

    seconds: float
    by: str
    said: dict[str, float]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the service stood when the call began. `barred`: endpoints that something speaks against, and what.

    `limit`: calls in flight, where something limits them, and how many are. `p95` and `recent` are seconds that the
    operation takes; None: too few answers.
    """

    circuit: str
    tokens: float
    in_flight: int | None
    limit: float | None
    guard: bool
    panic: bool
    endpoints: int
    barred: dict[str, str]
    operation: str
    p95: float | None
    recent: float | None


@dataclass(slots=True)
class Told:
    """One attempt: where it goes and `by` whom that was decided (`strategy`, `stand-in` or `trial`), and its limits.

    `after`: seconds since the call began. `hedge_after`: when a second copy goes out beside it, None: never. `became`:
    what came of it, and `then` what followed.
    """

    number: int
    hedge: bool
    endpoint: str | None
    by: str
    picks: list[Pick]
    after: float
    timeout: Limit
    connect: Limit
    hedge_after: float | None = None
    became: str | None = None
    then: str | None = None


@dataclass(slots=True)
class Explanation:
    """One call. `imagined`: nobody made it; it is what would be decided now.

    `asked` is the service that was called, `service` whose call it is in the end, by `route` (None: by none), for
    `target`. `above`: what the route, or an override, has put above the service's policies. `refused`: why nothing was,
    or would be, sent. `at` is the mesh's clock.
    """

    imagined: bool
    method: str
    asked: str
    path: str
    request_id: str | None = None
    at: float = 0.0
    routes: list[Looked] = field(default_factory=list)
    split: Drawn | None = None
    service: str = ""
    target: str = ""
    route: str | None = None
    reply: int | None = None
    above: dict[str, str] = field(default_factory=dict)
    standing: Standing | None = None
    deadline: Limit | None = None
    attempts: list[Told] = field(default_factory=list)
    refused: str | None = None

    @property
    def endpoint(self) -> str | None:
        """Where its first attempt goes."""
        return self.attempts[0].endpoint if self.attempts else None

    def plain(self) -> dict[str, Any]:
        """The same for programs: fit for JSON."""
        found = asdict(self)
        for attempt in found["attempts"]:
            for pick in attempt["picks"]:
                pick["candidates"] = list(pick["candidates"].values())
                pick["draws"] = list(pick["draws"])
        return found
