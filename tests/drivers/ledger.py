"""The books of one world: what its budget, allowances, slots and permits must come to, counted apart from it."""

from __future__ import annotations

from meshware.context import RequestContext
from meshware.core.call import Deliver, Retry
from meshware.core.outcome import Verdict

ALLOWANCE = 3


class Ledger:
    """Counts in thousandths of a token, by the documented rules and not by the code under test.

    Starts at 2 tokens; a call's success earns 0.2, up to max(2, 0.2 x calls of the last 10 s); a retry or
    hedge costs 1, which comes back if it was never sent.
    """

    def __init__(self, world) -> None:
        self.world = world
        self.tokens = 2000
        self.seconds: list[int] = []
        self.spent: dict[RequestContext, int] = {}
        self.sent: set[object] = set()
        self.calls = 0
        self.free = 0  # what the limiter has got back
        world.service.on_answer = (self._answered,)
        world.service.on_abandon = (self._abandoned,)
        world.service.limiter = self

    # As the limiter, which counts calls under way

    def acquire(self, call, now):
        self.calls += 1

    def release(self, call, verdict, now):
        self.free += 1

    # What happens

    def began(self) -> None:
        """A call's first attempt is open."""
        self.seconds.append(int(self.world.now))

    def hedged(self) -> None:
        """A hedge was made."""
        self._pay()

    def _answered(self, call, attempt, outcome, step, now):
        self.sent.add(attempt)
        if isinstance(step, Retry):
            if not step.attempt.free:
                self._pay()
            if call.context is not None:
                self.spent[call.context] = self.spent.get(call.context, 0) + 1
        elif isinstance(step, Deliver) and step.attempt.outcome.verdict is Verdict.SUCCESS:
            self.tokens = max(self.tokens, min(self.tokens + 200, self._capacity()))

    def _abandoned(self, call, attempt, now):
        if attempt.paid and attempt not in self.sent:
            if not attempt.free:
                self.tokens += 1000
            if call.context is not None:
                self.spent[call.context] -= 1

    def _pay(self) -> None:
        self.tokens = min(self.tokens, self._capacity()) - 1000
        assert self.tokens >= 0

    def _capacity(self) -> int:
        return max(2000, 200 * sum(second > int(self.world.now) - 10 for second in self.seconds))

    # At the end

    def balance(self, contexts=()) -> None:
        """Everything is back: slots, the budget, the allowances, and every permit can be had again."""
        world = self.world
        world.pass_time(0)
        assert world.in_flight() == 0
        assert self.free == self.calls
        assert round(1000 * world.tokens) == self.tokens
        for context in contexts:
            assert sum(context.spend() for _ in range(ALLOWANCE + 1)) == ALLOWANCE - self.spent.get(context, 0)
        permits_are_back(world)


def permits_are_back(world) -> None:
    """Well after every ejection, each call is a trial until no endpoint is out; the circuit lets them through."""
    world.pass_time(120)
    ejection = world.service.ejection
    for endpoint in tuple(ejection.waiting):
        ejection.connected(endpoint, True, world.now)
    world.succeed()  # may be the circuit's trial, and an endpoint's
    for _ in range(len(ejection.waiting)):
        call = world.call()
        attempt = call.begin(world.now)
        assert attempt.lease is not None
        world.answer(call, attempt)
        world.read(call, attempt)
    assert not ejection.waiting
