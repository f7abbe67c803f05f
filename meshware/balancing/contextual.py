"""Contextual: `adaptive`, and what each operation takes is known beside what each endpoint does.

The model is in operation_model.py. It is asked only while it foretells the answers better than `adaptive`
does without operations: fed with noise, or with one operation only, this strategy is `adaptive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import inf
from typing import cast

from meshware.balancing.adaptive import AdaptivePicker, picker_of, still
from meshware.balancing.chooser import checked_choices
from meshware.balancing.expected_cost import Cost, ExpectedCost, Fleet
from meshware.balancing.operation_model import Beside, OperationModel
from meshware.core.attempt import Attempt
from meshware.core.call import Call
from meshware.core.endpoint import Endpoint
from meshware.core.outcome import Ending, Outcome, Verdict
from meshware.core.policy import Picker
from meshware.core.telling import Pick


class Contextual:
    """`choices`: endpoints drawn per call, 2 or more; 4 is near the best at any fleet size."""

    def __init__(self, *, choices: int = 4) -> None:
        self._choices = checked_choices(choices)
        self.plain = ExpectedCost()
        self.beside = BesideOthers()
        self.model = OperationModel()

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints; attaches the meters where they are missing."""
        plain, beside = (picker_of(meter, endpoints, self._choices) for meter in (self.plain, self.beside))
        return ContextualPicker(plain, beside, self.model)

    def on_answer(self, call: Call, attempt: Attempt, outcome: Outcome, step: object, now: float) -> None:
        """A failure is held against the endpoint; a success is learned from when its body has ended."""
        if outcome.verdict in (Verdict.FAILURE, Verdict.OVERLOADED):
            reading = attempt.endpoint.readings.get(self.beside)
            if reading is not None:
                usual = self.model.usual(call.operation).seconds
                cast(Beside, reading).tell(outcome.elapsed / usual, True, outcome, now)

    def on_end(self, call: Call, attempt: Attempt, ending: Ending, wire: float, now: float) -> None:
        """How long it took, by what it was."""
        outcome, readings = attempt.outcome, attempt.endpoint.readings
        reading = readings.get(self.beside)
        if reading is None or outcome is None or outcome.verdict is not Verdict.SUCCESS or ending is Ending.BROKEN:
            return
        whole = ending is Ending.COMPLETE and not outcome.stream
        without = cast(Cost, readings[self.plain]).renew(now)  # no pick has, while the model is trusted
        self.model.learn(
            call.operation, wire if whole else outcome.elapsed, cast(Beside, reading), without, outcome, now
        )


class BesideOthers(ExpectedCost):
    """The meter of endpoints beside one another, in times of the operation."""

    def reading(self, fleet: Fleet) -> Beside:
        """A fresh reading."""
        return Beside(fleet)


class ContextualPicker:
    """As adaptive's, with the operation's factor. Immutable but for the model, so thread-safe."""

    def __init__(self, plain: AdaptivePicker, beside: AdaptivePicker, model: OperationModel) -> None:
        self._plain, self._beside, self._model = plain, beside, model

    def pick(self, call: Call, told: Pick | None = None) -> Endpoint:
        """The least expected cost of this operation among the drawn; by adaptive while the model is not trusted."""
        if not self._model.trusted or call.tried or call.service.guard.on:
            return self._plain.pick(call) if told is None else self._plain.explain(call, told)
        factor_of, operation = self._model.factor, self._model.usual(call.operation)
        now, slope = call.now, self._beside.fleet.queue.slope
        least = inf
        for cost in self._beside.drawn(call.rng):
            pace = cost.pace if now < cost.due else cost.renew(now)
            factor, load = factor_of(operation, cast(Beside, cost), now), len(cost.open)
            total = pace * factor * (1 + slope * load * cost.share) + cost.price
            if told is not None:
                made_of = cost.terms(load) | {"slope": slope, "factor": factor, "operation": operation.seconds}
                told.candidate(cost.endpoint, total, **made_of)
            if total < least:
                least, best = total, cost.endpoint
        return best

    def explain(self, call: Call, pick: Pick) -> Endpoint:
        """The same, told."""
        told = copy(self)
        told._beside = copy(self._beside)
        told._beside.see(lambda cost: still(cost, call))
        return told.pick(call, pick)
