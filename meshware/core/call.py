"""Call: one outbound call as a state machine, without I/O, clock or sleep.

A driver asks it what to do and does it; every rule about picking, retrying, hedging, deadlines and
giving back meets here. Per attempt the states are OPEN -> ANSWERED -> ENDED, or ABANDONED.

Endings may be noticed inside a finalizer or a generator collected at any moment. So `abandon` and
`ended` only pop the attempt from its endpoint (one atomic dict operation) and leave the rest in the
service's inbox, which the next begin or the housekeeper settles: no lock is taken there. What good answers
have left there can wait until the next request is out, and somebody waits for its answer anyway: `sent`.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Protocol

from meshware.core.attempt import ANSWERED, ENDED, OPEN, Attempt, Deliver, Lost, Raise, Retry, State, Step, Wait
from meshware.core.deadline import Deadline
from meshware.core.errors import CircuitOpen, DeadlineExceeded, MeshError, NoEndpoint, Overloaded
from meshware.core.outcome import BROKEN, COMPLETE, DROPPED, NEUTRAL, SUCCESS, TIMED, Cause, Ending, Outcome

if TYPE_CHECKING:
    from meshware.core.criticality import Criticality
    from meshware.core.endpoint import Endpoint
    from meshware.core.operations import Operation
    from meshware.core.plan import Plan
    from meshware.core.policy import Hedging, Lease, Permits, Rng
    from meshware.core.request import Request
    from meshware.core.service import Service

__all__ = ["Attempt", "Call", "Context", "Deliver", "Lost", "Raise", "Retry", "State", "Step", "Wait"]

UNKNOWN_PACE = 1.0
"""A cut that left less than this, while nothing is known of an operation's pace, blames nobody (seconds)."""

CROWDED = 3.0
"""So many times as long as the last answers took must an attempt have waited, before another endpoint is any better."""

HEAVY = 4.0
"""So many times as long as it has waited must be left, before a request is cut at an endpoint that answers others."""

PENALTY_PACES = 10.0
"""What a failed attempt counts at least, in p95s of its operation: a decay of 10 s is back at par after 23 s."""


class Context(Protocol):
    """What the call takes from the inbound request it is part of (see meshware/context.py)."""

    retry: bool
    criticality: Criticality

    def deadline_for(self, now: float) -> Deadline | None:
        """The deadline to inherit now, if any."""
        ...

    def affords(self) -> bool:
        """Whether there is a retry in the allowance now."""
        ...

    def spend(self) -> bool:
        """Take one retry from the request's allowance."""
        ...

    def give_back(self) -> None:
        """What was taken was never used."""
        ...


class Call:
    """One logical call to one service. Made per call, used by one driver.

    Not thread-safe, except where a hedge may run: then one lock guards its transitions, never over I/O.
    """

    __slots__ = (
        "_cut", "_held", "_hedged", "_lease", "_limiter", "_lock", "_open", "_over", "_won", "bound", "context",
        "copied", "deadline", "decided", "figures", "lateness", "now", "number", "parent", "patient", "plan", "request",
        "rng", "service", "tried",
    )  # fmt: skip

    imagined = False
    """Whether nobody makes it, and it is only explained: then nothing may be changed or taken for it."""

    def __init__(
        self,
        service: Service,
        request: Request,
        *,
        context: Context | None = None,
        parent: Call | None = None,
        plan: Plan | None = None,
        figures: Operation | None = None,
    ) -> None:
        self.service = service
        self.plan: Service | Plan = service if plan is None else plan
        self.request = request
        self.context = context
        self.parent = parent
        self.rng: Rng = service.rng
        self.figures: Operation = service.operations.of(request) if figures is None else figures
        self.lateness = service.lateness  # or that of the loop on which it is driven
        self.deadline: Deadline
        self.now = 0.0
        self.number = 0
        self.tried: tuple[Endpoint, ...] = ()
        self.copied: Callable[[Call, Outcome, float], None] | None = None  # told once, for mirrors; must not raise
        self.patient = False  # whether its driver says `sent`
        self.bound = False  # whether its endpoint was kept for its key: slow start does not turn it away
        self.decided = False
        self._open: list[Attempt] = []
        self._cut: Attempt | None = None  # the last that was cut for being late
        self._held: Attempt | None = None
        self._won: Attempt | None = None
        self._hedged = False
        self._lease: Lease | None = None
        self._limiter: Permits | None = None
        self._over = False
        self._lock: Lock | None = None

    @property
    def open(self) -> tuple[Attempt, ...]:
        """Attempts without an answer yet."""
        return tuple(self._open)

    @property
    def held(self) -> Attempt | None:
        """One whose answer is kept unread, in case that no better one comes."""
        return self._held

    @property
    def alone(self) -> bool:
        """Whether it is decided, and its first attempt had no other beside it, nor will have."""
        return self.decided and not self._hedged

    @property
    def operation(self) -> str:
        """The name under which this call's figures are kept."""
        return self.figures.name

    def child(self, service: Service, request: Request, plan: Plan | None = None) -> Call:
        """A call of its own on behalf of this one (a mirror): one attempt, its own deadline and verdicts."""
        return Call(service, request, parent=self, plan=plan)

    # Beginning

    def patience(self, now: float) -> float:
        """Seconds that a call which begins now may wait for its service's first endpoints (`service.arrival`)."""
        return self._inherit(now).at - now

    def begin(self, now: float, *, since: float | None = None) -> Attempt:
        """The first attempt. Raises DeadlineExceeded, CircuitOpen, Overloaded or NoEndpoint: nothing was sent.

        `since`: when its deadline began to run, for a call that has waited.
        """
        service = self.service
        self.now = now
        self.deadline = self._inherit(now if since is None else since)
        try:
            if service.inbox and not (self.patient and service.unhurried(self.plan.limiter)):
                service.settle(now)
            self._admit(now)
            attempt = self._attempt(now, now)
            service.budget.request(now)
            hedging = self.plan.hedging
            if hedging is not None:
                self._may_hedge(attempt, hedging, now)
        except BaseException as error:
            return self._begin_unaided(error, now)
        return attempt

    def _begin_unaided(self, error: BaseException, now: float) -> Attempt:
        """A beginning has failed: raises what it must; a fault of our own never ends a call, the stand-in decides."""
        opened = tuple(self._open)
        try:
            if isinstance(error, MeshError) or not isinstance(error, Exception):
                raise error
            self.service.failed("policy", error, now)
            self.number, at = 1, self.deadline.at
            endpoint, connect_by = self.plan.stand_in(self, now), min(now + self.service.connect_timeout, at)
            return self._opened(Attempt(endpoint, 1, now, at, connect_by))
        except BaseException as failed:
            self._undo(None, None, 0.0, now)
            for done in self.service.on_done:
                done(self, failed, now)
            if self.plan.decided is not None and isinstance(failed, CircuitOpen | NoEndpoint | Overloaded):
                self.plan.decided(self, None, now)
            raise
        finally:  # last: whoever settles that, on any thread, must not find a call with nothing left
            for each in opened:
                self.abandon(each, now)

    def _inherit(self, now: float) -> Deadline:
        """The least of the deadlines that somebody chose; the service's default when nobody did."""
        plan, request = self.plan, self.request
        chosen = plan.timeout_chosen
        deadline = Deadline(now + plan.timeout, plan.timeout, chosen=chosen)
        if request.timeout is not None and (not chosen or request.timeout < plan.timeout):
            deadline = Deadline(now + request.timeout, request.timeout, chosen=not request.streamed)
            chosen = True
        inherited = None if self.context is None else self.context.deadline_for(now)
        if inherited is not None and (not chosen or inherited.at < deadline.at):
            return inherited
        return deadline

    def _admit(self, now: float) -> None:
        service = self.service
        if self.deadline.at <= now:
            raise DeadlineExceeded(service.name, self.deadline.timeout, 0)
        if service.feasible and self.deadline.chosen:
            self._finishes(now)
        try:
            self._lease = service.circuit.admit(now)
            wait = None if self._lease is not None else max(0.0, float(service.circuit.until(now) or now) - now)
        except Exception as error:  # a breaker of the user's own: it lets all through
            wait = None
            service.failed("circuit", error, now)
        if wait is not None:
            raise CircuitOpen(service.name, now + wait, wait)
        limiter = self.plan.limiter
        if limiter is not None:
            refused = limiter.acquire(self, now)
            if refused is not None:
                raise Overloaded(service.name, refused)
            self._limiter = limiter

    def _finishes(self, now: float) -> None:
        """Raises where so little is left that most such calls would come too late; nobody's failure."""
        remaining, figure = self.deadline.at - now, self.figures.feasible
        if not figure.allows(remaining, now):
            raise DeadlineExceeded(self.service.name, self.deadline.timeout, 0, expected=figure.expected(now))

    def _tell_circuit(self, way: Literal["record", "release", "body"], *what: object, now: float) -> None:
        """What became of the call, if the circuit gave it a lease. One that cannot be made is told nothing."""
        if self._lease is None:
            return
        try:
            getattr(self.service.circuit, way)(self._lease, *what, now)
        except Exception as error:
            self.service.failed("circuit", error, now)

    def _attempt(self, now: float, began: float, *, hedge: bool = False) -> Attempt:
        """Pick an endpoint and open an attempt there; raises NoEndpoint."""
        service, plan = self.service, self.plan
        left = self._spare() + hedge if plan.retry.retryable(self.request) else 1
        deadline, fair = self.deadline.at, False
        if left > 1 and not service.guard.on:
            remaining = deadline - began
            limit = service.attempt_timeout.limit(self.figures, remaining=remaining, left=left, now=now)
            if limit is not None:
                deadline, fair = began + limit, limit < remaining / left
        connect_by = began + service.connect_timeout
        if connect_by > deadline:
            connect_by = deadline
        trial = None
        if service.ejection.waiting and not self.tried:
            trial = self._trial(left > 1, now)
        endpoint, lease = trial or (plan.pick(self, began), None)
        self.number += not hedge
        attempt = Attempt(endpoint, self.number, began, deadline, connect_by)
        attempt.fair, attempt.hedge, attempt.lease = fair, hedge, lease
        return self._opened(attempt)

    def _trial(self, retryable: bool, now: float) -> tuple[Endpoint, Lease | None] | None:
        """An ejected endpoint that this call is to try, with the lease for it."""
        return self.service.ejection.trial(retryable, now, self.plan.within)

    def _opened(self, attempt: Attempt) -> Attempt:
        """The attempt, in flight from now on."""
        endpoint = attempt.endpoint
        self._open.append(attempt)
        self.tried += (endpoint,)
        endpoint.open[attempt] = endpoint.waiting[attempt] = attempt.began
        if endpoint.cell is not None:
            endpoint.tell()
        return attempt

    def _spare(self) -> int:
        """Attempts that this call may still make; none after the first for a mirror or inside `no_retry()`."""
        return (1 if self._single() else self.plan.retry.attempts) - self.number

    def _single(self) -> bool:
        return self.parent is not None or (self.context is not None and not self.context.retry)

    # Hedging

    def _may_hedge(self, attempt: Attempt, hedging: Hedging, now: float) -> None:
        wait = None if self._single() else hedging.delay(self, now)
        if wait is not None:
            attempt.hedge_at = attempt.began + wait
            self._lock = Lock()

    def hedge(self, now: float) -> Attempt | None:
        """A second attempt beside the first, at `attempt.hedge_at`; None when decided, hedged or unaffordable.

        None too where that is later now: to be asked again then.
        """
        if self._lock is None:
            return None
        with self._lock:
            self.now = now
            try:
                return self._second(now)
            except Exception as error:  # the first goes on
                self.service.failed("policy", error, now)
                return None

    def _second(self, now: float) -> Attempt | None:
        service = self.service
        if self.decided or self._hedged or service.guard.on or len(self._open) != 1:
            return None
        first = self._open[0]
        if first.hedge_at is None:  # the first has failed, and this is its retry
            return None
        if not self.plan.untried(self, now) or service.paused(now) or carries(self.request):
            return None
        if self._made_good(first, now) and now < first.hedge_at:  # its answer may be there, and nobody has looked yet
            return None
        hedging = self.plan.hedging
        if hedging is None or self.rng.random() >= self.figures.cuts_pay or not hedging.take():
            return None
        try:
            attempt = self._attempt(now, now, hedge=True) if self._pay(now) else None
        except NoEndpoint:
            attempt = None
            self._refund(now)
        if attempt is None:
            hedging.give_back()
            return None
        self._hedged = attempt.paid = True
        return attempt

    def sent(self, now: float) -> None:
        """A request is out, and its answer takes a while: time for what earlier answers have left."""
        if self.service.inbox:
            self.service.settle(now)

    # Answers

    def answered(self, attempt: Attempt, outcome: Outcome, now: float) -> Step:
        """Headers have come, or an error, once per attempt; an error ends the attempt. Says what to do."""
        if attempt.state is not OPEN:
            return Lost()
        self.now = now
        attempt.outcome = outcome
        attempt.begin_hedge = None  # no hedge is begun beside it any more; and what begins one leads back to this call
        outcome.found = attempt.found
        step: Step | None = None
        try:
            outcome.verdict = verdict = self.service.classify(self.request, outcome)
            if verdict is not SUCCESS:
                if self.patient and self.service.inbox:  # what was good before must not end a row that begins with this
                    self.service.settle(now)
                if self._too_short(attempt, outcome):
                    outcome.verdict = NEUTRAL
            lateness = self.lateness
            if now > lateness.overdue_at or lateness.ended > attempt.began:
                self._allow_for(attempt, outcome, now)
            self._learn(attempt, outcome, now)
            if self._lock is None:
                step = self._decide(attempt, outcome, now)
            else:
                with self._lock:
                    step = self._decide(attempt, outcome, now)
            for watch in self.service.on_answer:
                watch(self, attempt, outcome, step, now)
            self._conclude(attempt, step, now)
        except Exception as error:  # a fault of our own never ends a call
            self.service.failed("policy", error, now)
            step = self._stand(attempt, outcome, step, now)
        return step

    def _stand(self, attempt: Attempt, outcome: Outcome, step: Step | None, now: float) -> Step:
        """A policy has failed at an answer: it stands as it came, is not retried, and says nothing of its endpoint."""
        if step is None:
            self._say_nothing(attempt, outcome, now)
            if self._lock is None:
                step = self._as_it_came(attempt, outcome)
            else:
                with self._lock:
                    step = self._as_it_came(attempt, outcome)
        if isinstance(step, Deliver | Raise) and not self._over:
            self._won = step.attempt if isinstance(step, Deliver) else None
            error = step.error if isinstance(step, Raise) else None
            self._conclude_as_nothing(error, outcome, now)
        return step

    def _say_nothing(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """Where the attempt stands now; its trial, if it was one, may be had again."""
        if outcome.cause is None:
            attempt.endpoint.waiting.pop(attempt, None)
            attempt.state = ANSWERED
        else:
            attempt.endpoint.ended(attempt)
            attempt.state = ENDED
        if attempt.lease is not None:
            try:
                self.service.ejection.release(attempt, now)
            except Exception as error:
                self.service.failed("ejection", error, now)
            attempt.lease = None

    def _as_it_came(self, attempt: Attempt, outcome: Outcome) -> Step:
        if attempt in self._open:
            self._open.remove(attempt)
        if self.decided:
            return Lost()
        answer = outcome.cause is None
        if self._open and not answer:
            return Wait()
        self.decided = True
        if answer:
            return Deliver(attempt)
        return Deliver(self._held) if self._held is not None else Raise(self._error(attempt, outcome))

    def _allow_for(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """We stood still while it was under way: what it took is less, and a clock that rang meanwhile blames nobody.

        Not less than usual, though: its answer may have come long before the end, or only just.
        """
        unheard = self._stood_still(attempt, now)
        mostly = outcome.cause in TIMED and 2 * unheard > outcome.elapsed
        outcome.elapsed = max(outcome.elapsed - attempt.stood, min(outcome.elapsed, self.figures.recent))
        outcome.delayed = attempt.stood > 0
        if mostly:
            outcome.verdict = NEUTRAL

    def _stood_still(self, attempt: Attempt, now: float) -> float:
        """Seconds of the attempt's life for which we stood still, beyond those that it was given more time for."""
        before, attempt.stood = attempt.stood, max(attempt.stood, self.lateness.since(attempt.began, now))
        return attempt.stood - before

    def _made_good(self, attempt: Attempt, now: float) -> bool:
        """Whether we have stood still, and so the attempt is cut, and has another beside it, later by as much."""
        stood = self._stood_still(attempt, now)
        if stood <= 0:
            return False
        attempt.deadline = min(self.deadline.at, attempt.deadline + stood)
        if attempt.hedge_at is not None:
            attempt.hedge_at += stood
        return True

    def _too_short(self, attempt: Attempt, outcome: Outcome) -> bool:
        """Whether it was cut by a deadline that had left the endpoint too little time: that says nothing of it.

        As little, if it had waited for most of it until the client had a connection.
        """
        if outcome.cause is not Cause.TIMEOUT:
            return False
        waited = self.now - attempt.began - outcome.elapsed
        had = attempt.deadline - attempt.began - attempt.stood - waited
        if attempt.fair:
            return waited > had
        pace = self.figures.figures(self.now)
        return had < (UNKNOWN_PACE if pace is None else 3 * pace)

    def _learn(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """What every later pick should know of this answer; a failure is never a fast answer."""
        service, endpoint, verdict = self.service, attempt.endpoint, outcome.verdict
        if self._cut is not None and (verdict is SUCCESS or outcome.cause is Cause.TIMEOUT):
            self._judge_cut(attempt, outcome.elapsed)
        if outcome.cause is None:
            endpoint.waiting.pop(attempt, None)
            attempt.state = ANSWERED
            if outcome.stream:
                endpoint.stream(attempt, now)
        else:
            endpoint.ended(attempt)
            attempt.state = ENDED
        if verdict is SUCCESS:
            endpoint.answered = now
            if service.guard.failures:
                service.guard.record(False, now)
            if self.patient and attempt.lease is None:
                self._leave_word((self._praise, attempt, None, 0.0), urgent=False)
            else:
                self._praise(attempt, None, 0.0, now)
            return
        if verdict is not NEUTRAL:
            if outcome.cause is Cause.TIMEOUT:
                outcome.late = attempt.began < max(endpoint.answered, endpoint.silent)
                if not outcome.late:
                    outcome.doubtful = now < self.deadline.at and endpoint.silent <= endpoint.answered
                    endpoint.silent = now
            service.guard.record(True, now)
            self._sample(endpoint, max(outcome.elapsed, self._penalty(now)), True, outcome, now)
        elif outcome.cause is Cause.CUT:
            self._at_least(endpoint, outcome, now)
        service.ejection.record(attempt, outcome, now)
        attempt.lease = None

    def _praise(self, attempt: Attempt, _how: object, _wire: float, now: float) -> None:
        """What a good answer says of its operation and of its endpoint."""
        outcome = attempt.outcome
        assert outcome is not None
        if not outcome.delayed:
            self.figures.record(outcome.elapsed, now)
        self.service.ejection.record(attempt, outcome, now)
        attempt.lease = None

    def _penalty(self, now: float) -> float:
        """Seconds that a failure counts at least: enough to be avoided, not so much that it is for minutes."""
        pace = self.figures.figures(now)
        return self.service.penalty if pace is None else min(self.service.penalty, PENALTY_PACES * pace)

    def _at_least(self, endpoint: Endpoint, outcome: Outcome, now: float) -> None:
        """A loser cut before its answer took at least so long; worth knowing once it is more than usual."""
        pace = self.figures.figures(now)
        if pace is not None and outcome.elapsed > pace:
            self._sample(endpoint, outcome.elapsed, False, outcome, now)

    def _sample(self, endpoint: Endpoint, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """Feed the endpoint's meters, which may be a user's own."""
        try:
            endpoint.sample(elapsed, failed, outcome, now)
        except Exception as error:
            self.service.failed("meter", error, now)

    def _decide(self, attempt: Attempt, outcome: Outcome, now: float) -> Step:
        self._open.remove(attempt)
        if self.decided:
            return Lost()
        answer = outcome.cause is None
        good = outcome.verdict is SUCCESS or (answer and not self.plan.retry.allows(self.request, outcome))
        if good:
            self.decided = True
            if self._open and answer:
                self.figures.judge_cut(attempt.hedge)
            return Deliver(attempt)
        if self._open:
            if answer:
                self._held = attempt
            return Wait()
        step = self._retry(attempt, outcome, now)
        if step is not None:
            return step
        self.decided = True
        if answer:
            return Deliver(attempt)
        return Deliver(self._held) if self._held is not None else Raise(self._error(attempt, outcome))

    def _retry(self, attempt: Attempt, outcome: Outcome, now: float) -> Retry | None:
        """The next attempt, picked and paid for; None when this outcome stands.

        The first one elsewhere costs the service's budget nothing where nothing was sent (gRPC's A6: transparent).
        """
        plan = self.plan
        if self._spare() < 1 or not plan.retry.allows(self.request, outcome):
            return None
        same = not plan.untried(self, now)
        if same and not repeats_at_same(outcome):
            return None
        after = plan.retry.delay(self.number + 1, outcome, same_endpoint=same, rng=self.rng)
        if same:  # it may have asked for time
            after = max(after, attempt.endpoint.availability.until(now) - now)
        free = self.number == 1 and not (outcome.sent or same or self._hedged)
        if now + after >= self.deadline.at or not self._pay(now, free=free):
            return None
        try:
            held = self._attempt(now, now + after)
        except NoEndpoint:
            self._refund(now, free=free)
            return None
        held.paid, held.free = True, free
        return Retry(held, after)

    def _pay(self, now: float, *, free: bool = False) -> bool:
        """From the service's budget, unless free of it, and from the inbound request's allowance."""
        if not free and not self.service.budget.withdraw(now):
            return False
        if self.context is not None and not self.context.spend():
            if not free:
                self.service.budget.give_back(now)
            return False
        return True

    def _affordable(self) -> bool:
        """Whether both would pay for a retry now."""
        return self.service.budget.affordable() and (self.context is None or self.context.affords())

    def _refund(self, now: float, *, free: bool = False) -> None:
        if not free:
            self.service.budget.give_back(now)
        if self.context is not None:
            self.context.give_back()

    def _error(self, attempt: Attempt, outcome: Outcome) -> BaseException:
        """Our own error when a deadline of ours ended the call, whichever timer noticed it; else the client's."""
        had, most = None, 1
        if self.now < self.deadline.at:
            if outcome.error is not None and (outcome.cause is not Cause.TIMEOUT or self.now < attempt.deadline):
                return outcome.error
            had, most = attempt.deadline - attempt.began, self.plan.retry.attempts
        error = DeadlineExceeded(self.service.name, self.deadline.timeout, self.number, attempt_timeout=had, most=most)
        error.__cause__ = outcome.error
        return error

    def _conclude(self, attempt: Attempt, step: Step, now: float) -> None:
        """Count the call once, by its final outcome."""
        if isinstance(step, Deliver):
            self._won = step.attempt
            outcome = step.attempt.outcome
            assert outcome is not None
            if outcome.verdict is SUCCESS:
                self.service.budget.deposit(now)
            error: BaseException | None = None
        elif isinstance(step, Raise):
            outcome = attempt.outcome
            assert outcome is not None
            error = step.error
        else:
            return
        circuit = self.service.circuit
        if not (circuit.quiet and outcome.verdict is SUCCESS):
            self._tell_circuit("record", outcome.verdict, now=now)
        self._close(error, outcome, now)

    def _conclude_as_nothing(self, error: BaseException | None, outcome: Outcome, now: float) -> None:
        """The call is over, and counted nowhere."""
        self._tell_circuit("release", now=now)
        self._close(error, outcome, now)

    def _close(self, error: BaseException | None, outcome: Outcome, now: float) -> None:
        self._over = True
        if error is not None or outcome.stream:  # a stream is no queue: it may stay open for hours
            self._finish(outcome, now)
        for done in self.service.on_done:
            done(self, error, now)
        if self.copied is not None:
            self.copied(self, outcome, now)
        if self.plan.decided is not None:
            self.plan.decided(self, outcome, now)

    def overdue(self, attempt: Attempt, now: float) -> float:
        """Asked when `attempt.deadline` has come before an answer: until when it may go on; `now` to cut it.

        An attempt is cut only where another may help. Not in a common pause; not while the last answers took nearly
        as long, as in an overload, where a retry joins the queue; rarely, where the retries of others were late too.
        What we stood still ourselves does not count.
        """
        final = self.deadline.at
        if now >= final:
            return now
        if self._made_good(attempt, now) and now < attempt.deadline:
            return attempt.deadline
        try:
            until = self._until(attempt, final, now)
        except Exception as error:  # a fault of our own cuts nothing
            self.service.failed("policy", error, now)
            until = final
        if until <= now:
            self._cut = attempt
            return now
        attempt.deadline = until
        return until

    def _until(self, attempt: Attempt, final: float, now: float) -> float:
        self._judge_cut(attempt, now - attempt.began)
        stays = self._stays(attempt, now)
        if stays:
            attempt.looked = now
        return min(final, 2 * now - attempt.began if stays else attempt.began + CROWDED * self.figures.recent)

    def _stays(self, attempt: Attempt, now: float) -> bool:
        """Whether a late attempt is let go on, since a retry could not help or would probably be as late.

        Asked again when it has waited twice as long. Where its endpoint answers others meanwhile, it is the request
        that is heavy, or one of a few that are late everywhere: to send all those twice is what brings a fleet down.
        """
        service, figures = self.service, self.figures
        if service.guard.on or service.paused(now) or not self._affordable():
            return True
        if not self.plan.untried(self, now):
            return True
        if attempt.endpoint.answered <= attempt.looked:  # it answers nobody
            return False
        waited, limits = now - attempt.began, service.attempt_timeout
        limit = limits.limit(figures, remaining=self.deadline.timeout, left=1, now=now)
        return (
            (limit is not None and waited < limits.patience * limit)
            or self.deadline.at - now < HEAVY * waited
            or (figures.cuts_pay < 1.0 and self.rng.random() >= figures.cuts_pay)
        )

    def _judge_cut(self, attempt: Attempt, elapsed: float) -> None:
        """An attempt after one that was cut took so long, or is still without an answer."""
        cut = self._cut
        if cut is not None and cut is not attempt and cut.outcome is not None:
            self.figures.judge_cut(elapsed < cut.outcome.elapsed)
            self._cut = None

    # Endings

    def ended(self, attempt: Attempt, ending: Ending, wire: float, now: float) -> None:
        """An answer's body is over; `wire` is seconds from send to headers plus inside reads. Idempotent."""
        if attempt.endpoint.ended(attempt):
            attempt.state = ENDED
            self._leave_word((self._body, attempt, ending, wire), urgent=ending is not COMPLETE)

    def _body(self, attempt: Attempt, ending: Ending, wire: float, now: float) -> None:
        service, outcome = self.service, attempt.outcome
        assert outcome is not None
        try:
            if outcome.verdict is SUCCESS:
                self._judge_body(attempt, outcome, ending, wire, now)
        finally:  # whichever policy fails at it
            for watch in service.on_end:
                watch(self, attempt, ending, wire, now)
            if attempt is self._won and self._limiter is not None:
                self._finish(outcome, now)

    def _judge_body(self, attempt: Attempt, outcome: Outcome, ending: Ending, wire: float, now: float) -> None:
        """What the end of a good answer's body says."""
        service, endpoint = self.service, attempt.endpoint
        if ending is BROKEN:
            service.guard.record(True, now)
            self._sample(endpoint, max(wire, self._penalty(now)), True, outcome, now)
        else:
            whole = ending is COMPLETE and not outcome.stream
            self._sample(endpoint, wire if whole else outcome.elapsed, False, outcome, now)
        broken = ending is BROKEN
        service.ejection.body(attempt, broken, now)
        if attempt is self._won and (broken or not service.circuit.quiet):
            self._tell_circuit("body", broken, now=now)

    def abandon(self, attempt: Attempt, now: float) -> None:
        """The caller went away before an answer. Idempotent; says nothing of the endpoint."""
        if attempt not in self._open:
            return
        self._open.remove(attempt)
        attempt.state = State.ABANDONED
        attempt.endpoint.ended(attempt)
        self._leave_word((self._abandoned, attempt, now < attempt.began, 0.0))

    def _abandoned(self, attempt: Attempt, unsent: bool, _wire: float, now: float) -> None:
        service = self.service
        try:
            if attempt.paid and unsent:
                self._refund(now, free=attempt.free)
            service.ejection.release(attempt, now)
        finally:  # whichever policy fails at it
            attempt.lease = None
            for watch in service.on_abandon:
                watch(self, attempt, now)
            if self._forsaken():
                self._undo(attempt, None, 0.0, now)

    def leave(self, attempt: Attempt | None, now: float) -> None:
        """Whoever drives the call goes away, wherever it stands: nothing stays in flight. Idempotent.

        `attempt` is the one that the driver last sent: its answer, if it had one, is dropped.
        """
        for each in tuple(self._open):
            self.abandon(each, now)
        if attempt is not None:
            self.ended(attempt, DROPPED, 0.0, now)
        if not self._over:
            self._leave_word((self._undo, attempt, None, 0.0))

    def _leave_word(self, word: tuple[Any, ...], *, urgent: bool = True) -> None:
        """For whoever settles the inbox; what is urgent before the next call begins."""
        self.service.inbox.append(word)
        if urgent:
            self.service.pressing = True

    def _forsaken(self) -> bool:
        """Whether nothing is left that could decide the call; then this does."""
        if self._lock is None:
            return self._settle_undecided()
        with self._lock:
            return self._settle_undecided()

    def _settle_undecided(self) -> bool:
        if self._open or self.decided:
            return False
        self.decided = True
        return True

    def _undo(self, _attempt: Attempt | None, _how: object, _wire: float, now: float) -> None:
        """A call that was never decided says nothing: give back, once, what it holds as a whole."""
        if self._over:
            return
        self._over = self.decided = True
        self._finish(None, now)
        self._tell_circuit("release", now=now)

    def _finish(self, outcome: Outcome | None, now: float) -> None:
        """The call is over: the limiter may let another in."""
        limiter, self._limiter = self._limiter, None
        if limiter is None:
            return
        try:
            limiter.release(self, outcome, now)
        except Exception as error:
            self.service.failed("limiter", error, now)


def carries(request: Request) -> bool:
    """Whether it has a body: two attempts at once cannot both read it."""
    return "content-length" in request.headers or "transfer-encoding" in request.headers


def repeats_at_same(outcome: Outcome) -> bool:
    """Whether the same endpoint may be tried again when there is no other: nothing sent, a gateway error, its wish."""
    return not outcome.sent or outcome.status in (502, 503, 504) or outcome.retry_after is not None
