"""Pool: endpoints of which one is picked for a call: a service's, or those of one of its subsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from meshware.core.availability import Bar
from meshware.core.errors import NoEndpoint

if TYPE_CHECKING:
    from meshware.core.call import Call
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Picker

Over = Callable[["Picker"], "Picker"]
"""Something that stands over a picker for one call."""


class Pool:
    """What a service and its subsets have in common. Thread-safe: snapshots are immutable, swapped by one assignment.

    `name` is what errors call it; `warm_floor` the least share of an endpoint that warms up.
    """

    __slots__ = ()

    name: str
    endpoints: Sequence[Endpoint]
    warm_floor: float

    def usable(self, endpoint: Endpoint, now: float) -> bool:
        """Whether it may be used now."""
        raise NotImplementedError

    def _acceptable(self, endpoint: Endpoint, call: Call, now: float) -> bool:
        raise NotImplementedError

    def _states(self) -> Mapping[str, str]:
        """Why none may be used."""
        raise NotImplementedError

    def _warm(self, endpoint: Endpoint, picker: Picker, call: Call, now: float) -> Endpoint:
        """One that warms up is taken with the probability of its warmth; else what the strategy would have instead."""
        warmth = endpoint.availability.warmth(now, self.warm_floor)
        if warmth >= 1.0 or call.bound or call.rng.random() < warmth:
            return endpoint
        tried = call.tried
        call.tried = (*tried, endpoint)
        try:
            other = picker.pick(call)
        finally:
            call.tried = tried
        instead = self._acceptable(other, call, now) and other.priority == endpoint.priority
        return other if instead else endpoint

    def stand_in(self, call: Call, now: float) -> Endpoint:
        """The less loaded of two random draws from what is usable and, if possible, untried, preferred and warm."""
        usable = [each for each in self.endpoints if self.usable(each, now)]
        if not usable:
            raise NoEndpoint(self.name, self._states())
        pool = [each for each in usable if each not in call.tried] or usable
        first_of_all = min(each.priority for each in pool)
        pool = [each for each in pool if each.priority == first_of_all]
        pool = [each for each in pool if Bar.WARMING not in each.bars] or pool
        first = pool[int(call.rng.random() * len(pool))]
        second = pool[int(call.rng.random() * len(pool))]
        return second if second.load < first.load else first

    def untried(self, call: Call, now: float) -> bool:
        """Whether an endpoint that this call has not tried may be used now."""
        return any(each not in call.tried and self.usable(each, now) for each in self.endpoints)
