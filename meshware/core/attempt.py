"""Attempt: one try at one endpoint; and the steps: what the Call says that the driver should do next.

Made per attempt, so plain classes with slots. Nothing here decides anything (see core/call.py).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.outcome import Outcome
    from meshware.core.policy import Lease


class State(Enum):
    """Where an attempt stands."""

    OPEN = "open"
    ANSWERED = "answered"
    ENDED = "ended"
    ABANDONED = "abandoned"


OPEN, ANSWERED, ENDED = State.OPEN, State.ANSWERED, State.ENDED


class Attempt:
    """One try at one endpoint. Times are monotonic seconds.

    The door sets `answer`, and `cancel`, whose `lose()` ends what another attempt has made useless: its outcome is CUT
    then. The driver sets `begin_hedge`, which the door calls at `hedge_at`: once, unless that is later afterwards.

    `fair` tells that it was given its whole attempt timeout, and not merely what the call had left; `asked`, that a
    load report may be in its answer; `free`, that no token of the service's budget was `paid` for it. `stood`: seconds
    of its life for which we stood still, as far as that has been made good; `looked`: when it was last let go on.
    """

    __slots__ = (
        "answer", "asked", "began", "begin_hedge", "cancel", "connect_by", "deadline", "endpoint", "epoch", "fair",
        "found", "free", "hedge", "hedge_at", "lease", "looked", "number", "outcome", "paid", "state", "stood",
    )  # fmt: skip

    def __init__(self, endpoint: Endpoint, number: int, began: float, deadline: float, connect_by: float) -> None:
        self.endpoint = endpoint
        self.number = number
        self.began = self.looked = began
        self.deadline = deadline
        self.connect_by = connect_by
        self.epoch = endpoint.epoch
        self.fair = self.asked = False
        self.found: float = len(endpoint.open) if endpoint.cells is None else endpoint.load
        self.hedge_at: float | None = None
        self.begin_hedge: Callable[[], None] | None = None
        self.hedge = False
        self.stood = 0.0
        self.paid = self.free = False
        self.lease: Lease | None = None
        self.state = OPEN
        self.outcome: Outcome | None = None
        self.cancel: Any = None
        self.answer: Any = None

    def __repr__(self) -> str:
        kind = "hedge" if self.hedge else "attempt"
        return f"<{kind} {self.number} at {self.endpoint.address}: {self.state.value}>"


class Deliver:
    """Hand this attempt's answer to the caller; close any other that is held."""

    __slots__ = ("attempt",)
    __match_args__ = ("attempt",)

    def __init__(self, attempt: Attempt) -> None:
        self.attempt = attempt

    def __repr__(self) -> str:
        return f"Deliver({self.attempt.endpoint.address})"


class Retry:
    """Drop the old answer, wait `after` seconds, send this attempt, which already holds all that it needs."""

    __slots__ = ("after", "attempt")
    __match_args__ = ("attempt", "after")

    def __init__(self, attempt: Attempt, after: float) -> None:
        self.attempt = attempt
        self.after = after

    def __repr__(self) -> str:
        return f"Retry({self.attempt.endpoint.address} after {self.after:.3f})"


class Wait:
    """Another attempt is open and decides; keep this answer unread."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Wait()"


class Lost:
    """Another attempt was delivered; close this answer."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Lost()"


class Raise:
    """The call has failed; this is what the caller gets."""

    __slots__ = ("error",)
    __match_args__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __repr__(self) -> str:
        return f"Raise({type(self.error).__name__})"


Step = Deliver | Retry | Wait | Lost | Raise
