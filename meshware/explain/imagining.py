"""A call that nobody makes: what would become of it here and now. Nothing is changed, drawn or taken by asking.

Chance is one of its own, so where chance decides, a call that is made may go elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from meshware.explain.calls import ImaginedCall
from meshware.explain.explanation import Explanation
from meshware.explain.kept import opened, route

if TYPE_CHECKING:
    from meshware.core.plan import Plan
    from meshware.core.request import Request
    from meshware.core.service import Service


class Headers(Mapping[str, str]):
    """Names in any case, as clients have them."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in given.items()}

    def __getitem__(self, name: str) -> str:
        return self._given[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def imagine(
    service: Service,
    request: Request,
    context: Any,
    *,
    overridden: Callable[[Service, Any, Plan | None], Plan | None],
    now: float,
) -> Explanation:
    """Everything up to the first attempt. `overridden`: the plan under what is wanted where the call would be made."""
    rng, plan = Random(), None
    explanation = opened(service, request, context, imagined=True)
    if service.routes is not None:
        service, request, plan = route(explanation, service, request, context, now=now, rng=rng)
    call = ImaginedCall(
        service,
        request,
        explanation=explanation,
        rng=rng,
        context=context,
        plan=overridden(service, context, plan),
        figures=service.operations.foreseen(request),
    )
    call.imagine(now)
    return explanation
