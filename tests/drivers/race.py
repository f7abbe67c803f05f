"""A driver that hedges, in simulated time: open attempts answer in the order of their times, losers are cut.

It does by chance what the drivers to come may do: single attempts are abandoned, and callers leave.
"""

from __future__ import annotations

from meshware.core.call import Deliver, Lost, Retry, State
from meshware.core.errors import MeshError
from meshware.core.outcome import Cause, Ending, Outcome


class Race:
    """One call from its beginning to the end of its body."""

    def __init__(self, world, chance, ledger, *, log, outcome_of):
        self.world, self.chance, self.ledger = world, chance, ledger
        self.log, self.outcome_of = log, outcome_of
        self.call = world.call()
        self.due = []  # (when, in which order it was made, attempt and its outcome)
        self.answers = []  # attempts with an answer that nobody has read or closed

    def run(self):
        try:
            first = self.call.begin(self.world.now)
        except MeshError as error:
            self.log.append(f"refused {type(error).__name__}")
            return
        self.ledger.began()
        self._plan(first)
        self.due.append((first.hedge_at, -1, None, None))
        while self.due:
            self.due.sort(key=lambda entry: entry[:2])
            self.world.now, _, attempt, outcome = self.due.pop(0)
            if attempt is None:
                self._hedge()
            elif not self._gone(attempt):
                self._answer(attempt, outcome)

    def _plan(self, attempt):
        outcome = self.outcome_of(self.chance)
        self.due.append((attempt.began + outcome.elapsed, len(self.log), attempt, outcome))
        self.log.append(f"send {attempt}")

    def _hedge(self):
        hedge = self.call.hedge(self.world.now)
        self.log.append(f"hedge {hedge}")
        if hedge is not None:
            self.ledger.hedged()
            self.ledger.sent.add(hedge)
            self._plan(hedge)

    def _gone(self, attempt):
        """Whether this attempt's caller, or the whole call's, has gone away."""
        turn = self.chance.random()
        if turn > 0.1:
            return False
        self.ledger.sent.add(attempt)
        if turn < 0.05:
            self.log.append(f"abandon {attempt}")
            self.call.abandon(attempt, self.world.now)
            if not any(other is not None for _, _, other, _ in self.due):
                self._leave()
        else:
            self._leave()
        return True

    def _leave(self):
        self.log.append("leave")
        self.call.leave(None, self.world.now)
        self.due.clear()
        self._close()

    def _answer(self, attempt, outcome):
        step = self.call.answered(attempt, outcome, self.world.now)
        self.log.append(f"{attempt} {outcome} {step}")
        if outcome.cause is None:
            self.answers.append(attempt)
        if isinstance(step, Deliver):
            self._deliver(step.attempt)
        elif isinstance(step, Lost):
            self._close()
        elif isinstance(step, Retry):
            self._close()
            self._plan(step.attempt)

    def _deliver(self, won):
        """The others are cut or closed; the body ends at once, in one of the three ways."""
        open_ones = [attempt for _, _, attempt, _ in self.due if attempt is not None and attempt.state is State.OPEN]
        self.due.clear()
        for other in open_ones:
            age = self.world.now - other.began
            self._answer(other, Outcome(elapsed=age, cause=Cause.CUT))
        if won in self.answers:
            self.answers.remove(won)
        self._close()
        self.call.ended(won, self.chance.choice(list(Ending)), 0.01, self.world.now)

    def _close(self):
        for attempt in self.answers:
            self.call.ended(attempt, Ending.DROPPED, 0.0, self.world.now)
        self.answers.clear()
