"""Subset: those of a service's endpoints whose metadata says so, or all of them, with a picker of their own.

The endpoints are the service's: what is open on them, learned of them or barred is one and the same. The picker is
made anew whenever the service's is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshware.core.errors import NoEndpoint
from meshware.core.pool import Over, Pool

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Picker, PoolStrategy
    from meshware.core.service import Service


class Subset(Pool):
    """The endpoints with all of this `metadata`; `elsewhere`: whether others are taken while none of them may be used.

    `strategy` makes one for endpoints that it is given a way to ask for: of `learner`, as its author wrote it and as
    `chosen` names it, or, without, like the service's. Thread-safe.
    """

    __slots__ = (
        "_members", "_service", "_strategy", "chosen", "elsewhere", "endpoints", "learner", "metadata", "name",
        "picker", "within",
    )  # fmt: skip

    def __init__(
        self,
        service: Service,
        metadata: Mapping[str, Any],
        *,
        elsewhere: bool,
        strategy: Callable[[Callable[[], Sequence[Endpoint]]], PoolStrategy],
        learner: Any = None,
        chosen: Any = None,
    ) -> None:
        self._service = service
        self.metadata = metadata
        self.elsewhere = elsewhere
        self.learner = learner
        self.chosen = chosen
        which = ", ".join(f"{key}={value}" for key, value in metadata.items())
        self.name = f"{service.name} ({which})" if which else service.name
        self.endpoints: tuple[Endpoint, ...] = ()
        self._members: frozenset[Endpoint] = frozenset()
        self.picker: Picker | None = None
        self.within = None if elsewhere else self
        self._strategy = strategy(lambda: self.endpoints)

    @property
    def wanted(self) -> tuple[Mapping[str, Any], bool, Any]:
        """What it is made of: one of the same is the same."""
        return self.metadata, self.elsewhere, self.chosen

    @property
    def warm_floor(self) -> float:  # type: ignore[override]
        """The service's."""
        return self._service.warm_floor

    def __contains__(self, endpoint: object) -> bool:
        return endpoint in self._members

    def renew(self, usable: Sequence[Endpoint], now: float) -> None:
        """Look again for whose metadata says so, and make the picker over those that may be used. Off the call path."""
        try:  # metadata may be of any kind
            self.endpoints = tuple(each for each in self._service.endpoints if self._is_member(each))
            self._members = frozenset(self.endpoints)
            mine = tuple(each for each in usable if each in self._members)
            self.picker = self._strategy.picker(mine) if mine else None
        except Exception as error:
            self.picker = None
            self._service.failed("strategy", error, now)

    def leave(self) -> None:
        """No route names it any more."""
        self._strategy.leave()

    def _is_member(self, endpoint: Endpoint) -> bool:
        return all(endpoint.metadata.get(key) == value for key, value in self.metadata.items())

    def pick(self, call: Call, now: float, over: Over | None = None) -> Endpoint:
        """The strategy's choice among them, if it may be used; else the stand-in's; else, where allowed, any."""
        if self._service.picker is None:
            self._service.first(now)
        picker = self.picker
        if picker is None:
            return self.stand_in(call, now, over)
        if over is not None:
            picker = over(picker)
        try:
            for _ in range(2):
                endpoint = picker.pick(call)
                if self._acceptable(endpoint, call, now):
                    return self._warm(endpoint, picker, call, now)
        except Exception as error:
            self._service.failed("strategy", error, now)
        return self.stand_in(call, now, over)

    def stand_in(self, call: Call, now: float, over: Over | None = None) -> Endpoint:
        """Two random draws from them; else, where allowed, what the service picks."""
        try:
            return super().stand_in(call, now)
        except NoEndpoint:
            if not self.elsewhere:
                raise
            return self._service.pick(call, now, over)

    def untried(self, call: Call, now: float) -> bool:
        """Whether the call has not tried all of them; where none may be used and others are taken, of those."""
        if self.elsewhere and not any(self.usable(each, now) for each in self.endpoints):
            return self._service.untried(call, now)
        return super().untried(call, now)

    def usable(self, endpoint: Endpoint, now: float) -> bool:
        """As the service says."""
        return self._service.usable(endpoint, now)

    def _acceptable(self, endpoint: Endpoint, call: Call, now: float) -> bool:
        return endpoint in self._members and endpoint not in call.tried and self.usable(endpoint, now)

    def _states(self) -> Mapping[str, str]:
        return {each.address: each.availability.state() for each in self.endpoints}

    def __repr__(self) -> str:
        return f"<Subset {self.name}: {len(self.endpoints)} endpoints>"
