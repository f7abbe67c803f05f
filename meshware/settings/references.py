"""What settings name elsewhere, found and tried at the start: plugins, breakers, files."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from inspect import Parameter, iscoroutinefunction, signature
from typing import Any, Protocol, TypeVar

from meshware import plugins
from meshware.core.errors import PluginError, SettingsError
from meshware.settings.grammar import Refused
from meshware.settings.sources import imported

BREAKER = ("call", "close", "current_state", "half_open", "open", "reset_timeout")
"""What a circuit needs of a breaker: the public face of `pybreaker.CircuitBreaker`."""


class Choice(Protocol):
    """A plugin by its name, with its options."""

    @property
    def name(self) -> str:
        """As it is installed or registered."""
        ...

    @property
    def options(self) -> dict[str, Any]:
        """Keywords."""
        ...


C = TypeVar("C", bound=Choice)


def strategy(choice: C) -> C:
    """Refuses a strategy that nobody brings, or that refuses its options. One is made, and thrown away."""
    return _plugin(plugins.STRATEGIES, choice, plugins.strategy, "strategy")


def discovery(choice: C) -> C:
    """The same for a discovery."""
    return _plugin(plugins.DISCOVERY, choice, plugins.discovery, "discovery")


def observer(choice: C) -> C:
    """The same for an observer."""
    return _plugin(plugins.OBSERVERS, choice, plugins.observer, "observer")


def breaker(choice: C) -> C:
    """The same for a breaker."""
    return _plugin(plugins.BREAKERS, choice, plugins.breaker, "breaker")


def _plugin(group: str, choice: C, make: Callable[[str, dict[str, Any]], Any], kind: str) -> C:
    names = plugins.names(group)
    if choice.name not in names:
        expected = f"one of {', '.join(sorted(names)) or f'none: no {kind} is installed'}"
        raise Refused(expected, nearest(choice.name, names))
    try:
        _refuse_unknown(group, choice.name, choice.options)
        make(choice.name, choice.options)
    except PluginError as error:
        raise Refused(str(error)) from error
    return choice


def _refuse_unknown(group: str, name: str, options: dict[str, Any]) -> None:
    known = _keywords(plugins.load(group, name))
    if known is None:
        return
    for option in options:
        if option not in known:
            raise Refused(f"{name} takes {', '.join(known) or 'no options'}, not {option!r}", nearest(option, known))


def own_breaker(value: Any) -> Any:
    """A user's own `pybreaker.CircuitBreaker`, or the import path of one: `shop.breakers:inventory`."""
    found = value
    if isinstance(value, str):
        try:
            found = imported(value)
        except SettingsError as error:
            raise Refused(error.problems[0].expected) from error
    if not all(hasattr(type(found), each) for each in BREAKER):
        raise Refused(
            f"a pybreaker.CircuitBreaker, its import path `module:name`, or a plugin (needs {', '.join(BREAKER)})"
        )
    return found


def function(value: Any) -> Any:
    """A function of the user's own, or the import path of one: `shop.fallbacks:items`."""
    found = value
    if isinstance(value, str):
        try:
            found = imported(value) if ":" in value else None
        except SettingsError as error:
            raise Refused(error.problems[0].expected) from error
    if value is not None and not callable(found):
        raise Refused("a function, or its import path `module:name`")
    return found


def predicate(value: Any) -> Any:
    """A predicate of the user's own, its import path, or the name that a decorator gave it: an ordinary function."""
    found = value
    if isinstance(value, str) and ":" not in value:
        known = plugins.predicates()
        if value not in known:
            expected = f"a predicate that is known (known: {', '.join(sorted(known)) or 'none'}), or `module:name`"
            raise Refused(expected, nearest(value, known))
        found = known[value]
    found = function(found)
    if iscoroutinefunction(found):
        raise Refused("an ordinary function: nobody awaits a coroutine where a call is routed")
    return found


CONDITIONS = (
    "5xx", "gateway-error", "connect-failure", "reset", "reset-before-request", "retriable-status-codes",
    "retriable-headers",
)  # fmt: skip
"""After what a call is sent again, in Envoy's words."""


def condition(value: str) -> str:
    """One of Envoy's conditions that we know."""
    if value not in CONDITIONS:
        raise Refused(f"one of {', '.join(CONDITIONS)}", nearest(value, CONDITIONS))
    return value


CLASSIFIERS = ("graphql", "jsonrpc", "grpc")
"""Those that are built in, by their names."""

LONGEST_LOOK = 65_536


def classifier(value: Any) -> Any:
    """A built-in classifier's name, one of the user's own, a function, or the import path of either."""
    if value is None or value in CLASSIFIERS:
        return value
    found = value
    if isinstance(value, str):
        if ":" not in value:
            expected = f"one of {', '.join(CLASSIFIERS)}, or an import path `module:name`"
            raise Refused(expected, nearest(value, CLASSIFIERS))
        try:
            found = imported(value)
        except SettingsError as error:
            raise Refused(error.problems[0].expected) from error
    if isinstance(found, type):
        found = _made(found)
    if not callable(getattr(found, "classify", found)):
        raise Refused("a classifier (`needs_body` and `classify(request, outcome)`), or such a function")
    needs = getattr(found, "needs_body", 0)
    if not isinstance(needs, int) or isinstance(needs, bool) or not 0 <= needs <= LONGEST_LOOK:
        raise Refused(f"a classifier whose `needs_body` is a number of bytes from 0 to {LONGEST_LOOK:,}, not {needs!r}")
    return found


def _made(kind: type) -> Any:
    try:
        return kind()
    except Exception as error:
        raise Refused(f"a classifier that can be made without arguments ({error!r})") from error


def check(value: Any) -> Any:
    """A health check of the user's own, or its import path: an ordinary function, which may block."""
    found = function(value)
    if iscoroutinefunction(found):
        raise Refused("an ordinary function: checks run on threads, where nobody awaits a coroutine")
    return found


COMPARISONS = ("status", "body")
"""How a mirror's answers are compared, by their names."""


def comparison(value: Any) -> Any:
    """The name of a comparison, or one of the user's own, or its import path: an ordinary function."""
    if value is None or value in COMPARISONS:
        return value
    if isinstance(value, str) and ":" not in value:
        expected = f"one of {', '.join(COMPARISONS)}, or an import path `module:name`"
        raise Refused(expected, nearest(value, COMPARISONS))
    found = function(value)
    if iscoroutinefunction(found):
        raise Refused("an ordinary function: copies are compared on threads, where nobody awaits a coroutine")
    return found


def path(text: str) -> str:
    """The path of a file or directory that is there."""
    if not os.path.exists(text):
        raise Refused("a path, but nothing is there")
    return text


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that was probably meant."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name.lower(), known, n=1)), None)


def _keywords(kind: Any) -> list[str] | None:
    """The options that a class takes; None when it takes any, or does not say."""
    try:
        parameters = signature(kind).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is Parameter.VAR_KEYWORD for each in parameters):
        return None
    kinds = (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return [each.name for each in parameters if each.kind in kinds and each.name != "make"]
