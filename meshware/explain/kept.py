"""Kept: the explanations of the last calls, found by request id."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from meshware.explain.calls import ToldCall
from meshware.explain.explanation import Explanation
from meshware.routing import values
from meshware.routing.telling import Telling

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshware.core.call import Call
    from meshware.core.plan import Plan
    from meshware.core.policy import Rng
    from meshware.core.request import Request
    from meshware.core.service import Service

    Made = tuple[Service, Request, Plan | None, Callable[..., Call]]

REQUEST_ID = "x-request-id"
"""The header that a call is known by; where it has none, what the app has said by `annotate(request_id=...)`."""


class Kept:
    """The last so many. Thread-safe: each is added by one operation, and grows as its call goes on."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._last: deque[Explanation] = deque(maxlen=most)

    def call(self, service: Service, request: Request, *, context: Any = None, plan: Plan | None = None) -> ToldCall:
        """A call that no route was asked for."""
        explanation = self._opened(service, request, context)
        return ToldCall(service, request, explanation=explanation, rng=service.rng, context=context, plan=plan)

    def route(self, service: Service, request: Request, context: Any, now: float) -> Made:
        """What routes say of a call, and how it is made."""
        explanation = self._opened(service, request, context)
        routed = route(explanation, service, request, context, now=now, rng=service.rng)
        return *routed, partial(ToldCall, explanation=explanation, rng=service.rng)

    def find(self, request_id: str | None) -> tuple[Explanation, ...]:
        """Those of a request, the oldest first; None: all that are kept."""
        kept = self._last.copy()
        return tuple(each for each in kept if request_id is None or each.request_id == request_id)

    def _opened(self, service: Service, request: Request, context: Any) -> Explanation:
        made = opened(service, request, context, imagined=False)
        self._last.append(made)
        return made


def opened(service: Service, request: Request, context: Any, *, imagined: bool) -> Explanation:
    """The explanation of a call that is about to be made."""
    said = next(iter(values.header(request, REQUEST_ID)), None)
    if said is None and context is not None:
        said = context.attributes.get("request_id")
    return Explanation(
        imagined=imagined,
        method=request.method,
        asked=service.name,
        path=request.target,
        request_id=None if said is None else str(said),
    )


def route(
    explanation: Explanation, service: Service, request: Request, context: Any, *, now: float, rng: Rng
) -> tuple[Service, Request, Plan | None]:
    """What the service's routes say of a call, told."""
    telling = Telling(rng, imagined=explanation.imagined)
    routed: tuple[Service, Request, Plan | None] = service.routes.route(service, request, context, now, telling)
    explanation.routes, explanation.split = telling.looked, telling.drawn
    return routed
