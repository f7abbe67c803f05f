"""Plan: the policies by which one call goes, where a route or an override has put some above its service's.

A service is the plan of its own calls: it has all that is asked for here. Defaults, service, route, override: each
says only what it means to change, and the narrower one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from copy import copy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.outcome import Outcome
    from meshware.core.policy import Hedging, Permits, RetryPolicy, Rng
    from meshware.core.reply import Reply
    from meshware.core.service import Service
    from meshware.core.subset import Subset


@dataclass(frozen=True, slots=True)
class Override:
    """What somebody wants of the calls that he makes here and now; None: as it would be."""

    timeout: float | None = None
    attempts: int | None = None
    hedge: bool | None = None
    fallback: bool | None = None

    def over(self, outer: Override | None) -> Override:
        """Both, where this one counts."""
        if outer is None:
            return self
        return Override(
            outer.timeout if self.timeout is None else self.timeout,
            outer.attempts if self.attempts is None else self.attempts,
            outer.hedge if self.hedge is None else self.hedge,
            outer.fallback if self.fallback is None else self.fallback,
        )


@dataclass(frozen=True, slots=True)
class Edits:
    """What becomes of headers, by lower-case names, of which each stands in one place only; after those `before`."""

    set: Mapping[str, str] = field(default_factory=dict)
    add: Mapping[str, str] = field(default_factory=dict)
    remove: frozenset[str] = frozenset()
    before: Edits | None = None

    def of(self, given: Mapping[str, str | bytes]) -> dict[str, str | None]:
        """New values of headers that were like this; None: the header goes."""
        changed = {} if self.before is None else self.before.of(given)
        changed |= dict.fromkeys(self.remove)
        changed |= self.set
        for name, value in self.add.items():
            changed[name] = _joined(changed[name] if name in changed else given.get(name), value)
        return changed

    def apply(self, headers: MutableMapping[str, str]) -> None:
        """Change an answer's headers."""
        for name, value in self.of(headers).items():
            if value is None:
                headers.pop(name, None)
            else:
                headers[name] = value


def _joined(present: str | bytes | None, value: str) -> str:
    """Two values of one header, as one line says them (RFC 9110, 5.3)."""
    if isinstance(present, bytes):
        present = present.decode("latin-1")
    return f"{present}, {value}" if present else value


class Plan:
    """What a service's calls go by when a route or an override says something of them. Immutable, so thread-safe.

    What it does not say is the service's. `subset`: where endpoints are picked, and by which strategy. `limiter`: what
    lets its calls out, the service's own included (limiting/route.py). `hedging` and `fallback` stand in a tuple, since
    they may be None: never. `reply`: the answer, and nothing is sent. `edits`, `answer_edits`: what becomes of the
    headers of the request and of the answer. `template`: under which its operations are known. `mirrors`: where copies
    of its calls go (routing/mirror.py). `decided`: told what became of each call, None where it was refused; it must
    not raise.
    """

    __slots__ = (
        "_fallback", "_faults", "_hedging", "_limiter", "_retry", "answer_edits", "decided", "edits", "mirrors", "name",
        "pick", "pool", "reply", "service", "stand_in", "template", "timeout", "timeout_chosen", "untried", "within",
    )  # fmt: skip

    pick: Callable[..., Endpoint]
    stand_in: Callable[[Any, float], Endpoint]
    untried: Callable[[Any, float], bool]

    def __init__(
        self,
        service: Service,
        *,
        name: str = "",
        timeout: float | None = None,
        retry: RetryPolicy | None = None,
        hedging: tuple[Hedging | None] | None = None,
        subset: Subset | None = None,
        faults: Any = None,
        fallback: tuple[Any] | None = None,
        limiter: Permits | None = None,
        reply: Reply | None = None,
        edits: Edits | None = None,
        answer_edits: Edits | None = None,
        template: str | None = None,
        mirrors: tuple[Any, ...] = (),
        decided: Callable[[Any, Outcome | None, float], None] | None = None,
    ) -> None:
        self.service = service
        self.name = name
        self.timeout = service.timeout if timeout is None else timeout
        self.timeout_chosen = service.timeout_chosen or timeout is not None
        self._retry = retry
        self._hedging = hedging
        self._faults = faults
        self._fallback = fallback
        self._limiter = limiter
        self.reply = reply
        self.edits = edits
        self.answer_edits = answer_edits
        self.template = template
        self.mirrors = mirrors
        self.decided = decided
        self.pool = pool = service if subset is None else subset
        self.pick, self.stand_in, self.untried, self.within = pool.pick, pool.stand_in, pool.untried, pool.within

    @property
    def retry(self) -> RetryPolicy:
        """When its calls are sent again."""
        return self.service.retry if self._retry is None else self._retry

    @property
    def hedging(self) -> Hedging | None:
        """When a second copy goes out; None: never."""
        return self.service.hedging if self._hedging is None else self._hedging[0]

    @property
    def faults(self) -> Any:
        """What is to go wrong on purpose."""
        return self.service.faults if self._faults is None else self._faults

    @property
    def fallback(self) -> Any:
        """What stands in for its failed calls; None: nothing."""
        return self.service.fallback if self._fallback is None else self._fallback[0]

    @property
    def limiter(self) -> Permits | None:
        """What refuses its calls before anything is sent."""
        return self.service.limiter if self._limiter is None else self._limiter

    def after(self, edits: Edits) -> Plan:
        """The same, after other changes of the request's headers: those of the routes that led here."""
        made = copy(self)
        made.edits = edits if self.edits is None else replace(self.edits, before=edits)
        return made

    def overridden(self, said: Override) -> Plan:
        """The same under what somebody wants here and now."""
        made = copy(self)
        if said.timeout is not None:
            made.timeout, made.timeout_chosen = said.timeout, True
        if said.attempts is not None:
            made._retry = Attempts(self.retry, said.attempts)
        if said.hedge is False:
            made._hedging = (None,)
        elif said.hedge and self.hedging is None:
            made._hedging = (self.service.hedging or self.service.hedging_wanted,)
        if said.fallback is False:
            made._fallback = (None,)
        return made

    def __repr__(self) -> str:
        return f"<Plan {self.name or '(override)'}: {self.service.name}>"


class Attempts:
    """Another retry policy with another number of attempts. Thread-safe, as that one is."""

    def __init__(self, inner: RetryPolicy, attempts: int) -> None:
        self.attempts = attempts
        self.retryable = inner.retryable
        self.allows = inner.allows
        self._inner = inner

    def delay(self, number: int, outcome: Outcome, *, same_endpoint: bool, rng: Rng) -> float:
        """As the other has it."""
        return self._inner.delay(number, outcome, same_endpoint=same_endpoint, rng=rng)
