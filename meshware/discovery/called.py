"""Endpoints from a function of the app's own, such as one that asks its database or a registry's client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutine, iscoroutinefunction
from itertools import islice
from pkgutil import resolve_name
from typing import Any

from meshware.core.policy import Endpoints
from meshware.discovery.answer import LONGEST, MOST, SHORTEST


class Called:
    """`"discovery": {"callable": {"function": "shop.registry:inventory"}}`: what it gives are the endpoints.

    An ordinary function without arguments, or its import path. It gives an iterable of endpoints, each as settings
    would hold it, or `Endpoints`. It is called every so many seconds (`every`), on a thread that is not a caller's,
    and may block; after 10 s it counts as failed.
    """

    def __init__(self, *, function: str | Callable[[], Any], every: float = 30.0) -> None:
        if isinstance(every, bool) or not isinstance(every, int | float) or not SHORTEST <= every <= LONGEST:
            raise ValueError(f"every must be seconds from {SHORTEST:g} to {LONGEST:,.0f}, not {every!r}")
        self._function = _found(function)
        self._every = float(every)

    def fetch(self, now: float) -> Endpoints:
        """What the function gives now. Raises what it raises, and TypeError for what cannot be meant."""
        found = self._function()
        if isinstance(found, Endpoints):
            return found
        if iscoroutine(found):
            found.close()
        if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
            raise TypeError(f"the function gave {found!r:.80}: a list of endpoints is needed")
        return Endpoints(list(islice(found, MOST)), self._every)


def _found(function: Any) -> Callable[[], Any]:
    found: Any = function
    if isinstance(function, str):
        try:
            found = resolve_name(function) if ":" in function else None
        except Exception as error:  # of the user's module, whatever it raises
            raise ValueError(f"function must be one that can be imported ({error!r})") from error
    if not callable(found):
        raise ValueError(f"function must be one, or its import path `module:name`, not {function!r}")
    if iscoroutinefunction(found):
        raise ValueError("function must be an ordinary one: it runs on a thread, where nobody awaits a coroutine")
    own: Callable[[], Any] = found
    return own
