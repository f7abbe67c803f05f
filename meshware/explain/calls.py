"""Calls that are told of: the same state machine as any call's, which writes down what it decides by.

What cannot be written down is left out, and the mesh's events say so: it never changes what becomes of a call.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from meshware.core.attempt import Attempt, Step
from meshware.core.call import Call, Context
from meshware.core.errors import CircuitOpen, MeshError, Overloaded
from meshware.core.plan import Plan
from meshware.core.service import described
from meshware.core.subset import Subset
from meshware.core.telling import Pick, Tape
from meshware.core.telling import Told as ToldPicker
from meshware.explain.explanation import Explanation, Limit, Standing, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshware.core.endpoint import Endpoint
    from meshware.core.operations import Operation
    from meshware.core.outcome import Outcome
    from meshware.core.plan import Override
    from meshware.core.policy import Lease, Picker, Rng
    from meshware.core.pool import Pool
    from meshware.core.request import Request
    from meshware.core.service import Service


class ToldCall(Call):
    """A call that goes out, told to an explanation."""

    __slots__ = ("_began", "_picks", "_told", "_untold", "explanation", "tape")

    def __init__(
        self,
        service: Service,
        request: Request,
        *,
        explanation: Explanation,
        rng: Rng,
        context: Context | None = None,
        plan: Plan | None = None,
        figures: Operation | None = None,
    ) -> None:
        self._untold = plan or Plan(service)
        told = copy(self._untold)
        told.pick = partial(told.pick, over=self._telling)
        super().__init__(service, request, context=context, plan=told, figures=figures)
        self.rng = self.tape = Tape(rng)
        self.explanation = explanation
        self._told: dict[Attempt, Told] = {}
        self._picks: list[Pick] = []
        self._began = 0.0
        explanation.service, explanation.target = service.name, request.target
        explanation.route = self._untold.name or None
        explanation.reply = None if told.reply is None else told.reply.status
        explanation.above = dict(_above(self._untold))

    def begin(self, now: float, *, since: float | None = None) -> Attempt:
        """As any call's."""
        self._began = now
        self.explanation.at = now
        self._tell(self._note_standing, now)
        try:
            attempt = super().begin(now, since=since)
        except BaseException as error:
            self.explanation.refused = described(error)
            raise
        finally:
            self._tell(self._note_deadline, now)
        if attempt in self._told and attempt.hedge_at is not None:
            self._told[attempt].hedge_after = attempt.hedge_at - attempt.began
        return attempt

    def _attempt(self, now: float, began: float, *, hedge: bool = False) -> Attempt:
        self._picks = []
        attempt = super()._attempt(now, began, hedge=hedge)
        self._tell(self._note_attempt, attempt)
        return attempt

    def answered(self, attempt: Attempt, outcome: Outcome, now: float) -> Step:
        """As any call's."""
        step = super().answered(attempt, outcome, now)
        self._tell(self._note_answer, attempt, outcome, step)
        return step

    def _tell(self, tell: Callable[..., None], *what: Any) -> None:
        try:
            tell(*what)
        except Exception as error:
            self.service.failed("explain", error, self.now)

    # How it is picked

    def _telling(self, picker: Picker) -> Picker:
        return Asked(picker, self._untold.pool, self._picks)

    # What is written down

    def _note_standing(self, now: float) -> None:
        service, limiter = self.service, self.service.limiter
        figures = service.operations.foreseen(self.request)  # looked at before its time its windows would turn
        self.explanation.standing = Standing(
            circuit=_circuit(service.circuit.until(now), now),
            tokens=service.budget.tokens,
            in_flight=None if limiter is None else limiter.in_flight,
            limit=None if limiter is None else limiter.limit,
            guard=service.guard.on,
            panic=service.panic,
            endpoints=len(service.endpoints),
            barred={each.address: each.availability.state() for each in service.endpoints if each.bars},
            operation=figures.name,
            p95=figures.figures(now),
            recent=figures.recent or None,
        )

    def _note_deadline(self, now: float) -> None:
        """Whose deadline it is: the narrower of what routes and overrides say, the client's, the inbound request's."""
        deadline, plan = self.deadline, self.plan
        client = self.request.timeout
        inherited = None if self.context is None else self.context.deadline_for(now)
        plans = _plans(plan, getattr(self.context, "override", None))
        said = {plans: plan.timeout}
        if client is not None:
            said["client"] = client
        if inherited is not None:
            said["inbound"] = inherited.at - now
        by = "inbound" if deadline is inherited else plans if deadline.timeout == plan.timeout else "client"
        self.explanation.deadline = Limit(deadline.at - now, by, said)

    def _note_attempt(self, attempt: Attempt) -> None:
        began, picks = attempt.began, self._picks
        picked = attempt.endpoint.address
        by = "strategy" if any(each.endpoint == picked for each in picks) else "stand-in"
        if attempt.lease is not None:
            by = "trial"
        told = Told(
            number=attempt.number,
            hedge=attempt.hedge,
            endpoint=picked,
            by=by,
            picks=picks,
            after=began - self._began,
            timeout=self._attempt_limit(attempt),
            connect=_nearer({"attempt": attempt.deadline - began, "connect_timeout": self.service.connect_timeout}),
        )
        self._told[attempt] = told
        self.explanation.attempts.append(told)

    def _attempt_limit(self, attempt: Attempt) -> Limit:
        """The call's, or one of its own: fair, or its share of what is left for those that may follow."""
        seconds, left = attempt.deadline - attempt.began, self.deadline.at - attempt.began
        own = "attempt_timeout" if attempt.fair else "share"
        if seconds >= left:
            return Limit(left, "deadline", {"deadline": left})
        return Limit(seconds, own, {"deadline": left, own: seconds})

    def _note_answer(self, attempt: Attempt, outcome: Outcome, step: Step) -> None:
        told = self._told.get(attempt)
        if told is None:
            return
        what = outcome.status if outcome.cause is None else outcome.cause.value
        told.became = f"{what}: {outcome.verdict.value} after {outcome.elapsed:.4g} s"
        told.then = repr(step)


class ImaginedCall(ToldCall):
    """A call that nobody makes: what would be decided, by the same rules, and nothing is taken for it."""

    __slots__ = ()

    imagined = True

    def imagine(self, now: float) -> None:
        """Decide everything up to the first attempt."""
        self.now = self._began = self.explanation.at = now
        self._note_standing(now)
        self.deadline = self._inherit(now)
        self._note_deadline(now)
        try:
            if self.plan.reply is None:
                self._would_begin(now)
        except MeshError as error:
            self.explanation.refused = described(error)

    def _would_begin(self, now: float) -> None:
        service, hedging = self.service, self.plan.hedging
        until = service.circuit.until(now)
        if until is not None and until > now:
            raise CircuitOpen(service.name, until, until - now)
        if service.feasible and self.deadline.chosen:
            self._finishes(now)
        limiter = self.plan.limiter
        refused = None if limiter is None else limiter.foreseen(self, now)
        if refused is not None:
            raise Overloaded(service.name, refused)
        told = self._told[self._attempt(now, now)]
        if any(each.failed is not None for each in told.picks):
            told.endpoint = None
        if hedging is not None and not self._single():
            told.hedge_after = hedging.foreseen(self, now)

    def _trial(self, retryable: bool, now: float) -> tuple[Endpoint, Lease | None] | None:
        endpoint = self.service.ejection.next_trial(retryable, now, self.plan.within)
        return None if endpoint is None else (endpoint, TRIAL)

    def _opened(self, attempt: Attempt) -> Attempt:
        return attempt


class Asked:
    """A picker of which each question and its answer are written down."""

    def __init__(self, picker: Picker, pool: Pool, picks: list[Pick]) -> None:
        self._picker = picker
        self._pool = pool
        self._picks = picks

    def pick(self, call: Any) -> Endpoint:
        """What it picks."""
        pick, before = Pick(), len(call.tape.drawn)
        self._picks.append(pick)
        try:
            endpoint = ToldPicker(self._picker, pick).pick(call)
        except Exception as error:
            pick.failed = described(error)
            endpoint = self._untold(call)
        pick.endpoint = endpoint.address
        pick.draws = tuple(call.tape.drawn[before:])
        return endpoint

    def _untold(self, call: Call) -> Endpoint:
        """What it picks all the same; of an imagined call nobody may ask that, and this is some endpoint, not told."""
        if not call.imagined:
            return self._picker.pick(call)
        pool = self._pool
        return next((each for each in pool.endpoints if pool.usable(each, call.now)), pool.endpoints[0])


class _Trial:
    """In the place of a lease that is not taken."""

    trial = True


TRIAL = _Trial()


def _above(plan: Plan) -> Iterator[tuple[str, str]]:
    """What stands above the service's policies, by the names of their settings; of a timeout the deadline tells."""
    service, pool = plan.service, plan.pool
    if isinstance(pool, Subset) and pool.chosen is not None:
        yield "strategy", pool.chosen.name
    if plan.retry is not service.retry:
        yield "retry", f"{plan.retry.attempts} attempts"
    for name, mine, theirs in (
        ("hedge", plan.hedging, service.hedging),
        ("fallback", plan.fallback, service.fallback),
        ("faults", plan.faults, service.faults),
    ):
        if mine is not theirs:
            yield name, "off" if mine is None else "on"
    if plan.limiter is not service.limiter:
        yield "limits", str(plan.limiter)


def _circuit(until: float | None, now: float) -> str:
    if until is None:
        return "closed"
    return f"open for {until - now:.3g} s" if until > now else "half-open: the next call is its trial"


def _plans(plan: Any, override: Override | None) -> str:
    """Who has said the plan's timeout."""
    service: Service = plan.service
    if override is not None and override.timeout is not None:
        return "override"
    if plan.timeout_chosen and (plan.timeout != service.timeout or not service.timeout_chosen):
        return "route"
    return "service" if service.timeout_chosen else "default"


def _nearer(said: dict[str, float]) -> Limit:
    by = min(said, key=lambda each: said[each])
    return Limit(said[by], by, said)
