"""What every door in does: the mesh of its settings, and for each request the context that it is served in.

A door reads its framework's headers and says what it found; what is believed of it is decided here, once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from meshware.context import ALLOWANCE, RequestContext, current
from meshware.core.caller import Caller
from meshware.core.deadline import Deadline
from meshware.core.errors import CircuitOpen, DeadlineExceeded, NoEndpoint, Overloaded
from meshware.mesh import Mesh
from meshware.security.trust import ATTEMPT, TIMEOUT, Inbound, TrustedPeers, read_headers
from meshware.telemetry.log import EventLog

if TYPE_CHECKING:
    from meshware.settings.schema import MeshSettings

EXPIRED = b"the deadline had passed before the request was begun\n"
"""The body of the 504 to who no longer waits for an answer."""


def open_mesh(settings: Any) -> Mesh:
    """The mesh of these settings, its events logged; the process's default one, if it is the first.

    The environment's `MESHWARE__...` variables stand above them. Raises SettingsError with every problem found.
    """
    return open_own_mesh(settings)[0]


def open_own_mesh(settings: Any) -> tuple[Mesh, bool]:
    """The same, and whether it was made for this: then who opened it may close it."""
    observers = iter([EventLog()])
    mesh = Mesh.from_settings(settings, observers=observers, environ=os.environ).install()
    return mesh, next(observers, None) is None  # only a new mesh has taken its observers


def refusal(error: Exception) -> tuple[str, int, dict[str, str]]:
    """What became of a call, as text, status and headers of an answer; raises what only the developer can mend."""
    if isinstance(error, DeadlineExceeded):
        return "a service did not answer in time\n", 504, {}
    if isinstance(error, CircuitOpen):
        return "a service is unavailable\n", 503, {"Retry-After": str(max(1, ceil(error.wait)))}
    if isinstance(error, NoEndpoint | Overloaded):
        return "a service is unavailable\n", 503, {}
    raise error


class Door:
    """A mesh's door in: opens the context of each request. Thread-safe.

    What the settings say of requests is looked up once, and again when they were reloaded.
    """

    __slots__ = ("_rules", "mesh")

    def __init__(self, mesh: Mesh) -> None:
        self.mesh = mesh
        self._rules = _Rules.of(mesh.settings)

    def open(
        self,
        timeouts: Sequence[str] = (),
        attempts: Sequence[str] = (),
        *,
        peer: str = "",
        caller: Caller | None = None,
        allowance: int | None = ALLOWANCE,
    ) -> RequestContext | None:
        """The context of a request that begins now; None when its deadline has passed: answer 504 then.

        `timeouts` and `attempts` are all values of the headers TIMEOUT and ATTEMPT, `peer` is who sent them;
        `allowance` is how many retries the calls made for it may spend, None as many as their services pay for.
        Nothing is in force yet: enter the context for as long as code of the app runs, then end it by `done`.
        """
        mesh, rules = self.mesh, self._rules
        if rules.settings is not mesh.settings:
            rules = self._rules = _Rules.of(mesh.settings)
        inbound = rules.read(timeouts, attempts, peer) if timeouts or attempts else rules.unsaid
        now = mesh.clock()
        deadline = _deadline(inbound.timeout, now)
        if deadline is not None and deadline.at <= now:
            return None
        return RequestContext(deadline, mesh=mesh, attempt=inbound.attempt, allowance=allowance, caller=caller)


class _Rules(NamedTuple):
    """What one set of settings says of requests, ready for use."""

    settings: MeshSettings
    unsaid: Inbound
    unasked: float
    trusts: Callable[[str], bool]

    @classmethod
    def of(cls, settings: MeshSettings) -> _Rules:
        peers = TrustedPeers(settings.trusted_peers)
        return cls(settings, Inbound(settings.request_timeout), _unasked_timeout(), peers)

    def read(self, timeouts: Sequence[str], attempts: Sequence[str], peer: str) -> Inbound:
        """What the headers say; the peer is looked at only when there is a mark of his to believe or not."""
        said, maximum = {TIMEOUT: timeouts, ATTEMPT: attempts}, self.unsaid.timeout
        inbound = read_headers(said.__getitem__, trusted=bool(attempts) and self.trusts(peer), maximum=maximum)
        if maximum is None and inbound.timeout is not None and inbound.timeout > self.unasked:
            # a deadline that was set stands above that default: a stranger must not lengthen it
            return Inbound(None, inbound.attempt)
        return inbound


def _deadline(timeout: float | None, now: float) -> Deadline | None:
    """The request's own; inside another context (a door within a door, a job) never later than that one's."""
    outer = current()
    inherited = None if outer is None else outer.deadline_for(now)
    if inherited is not None:
        return inherited.child(timeout, now)
    return None if timeout is None else Deadline(now + timeout, timeout)


def _unasked_timeout() -> float:
    """Seconds that a call has when no setting and no caller says how many."""
    from meshware.settings.schema import Policy

    return float(Policy.model_fields["timeout"].default)
