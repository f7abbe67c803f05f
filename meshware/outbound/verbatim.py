"""A library's function to the letter, with others in the place of names that it uses.

So a step is left out that costs much and says nothing here, and whatever else the library's version does stays.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from types import FunctionType
from typing import Any


def verbatim(function: Any, **others: Any) -> Any:
    """The same function, for which `others` stand for the names of its module; what is no function is left as it is."""
    if not isinstance(function, FunctionType):
        return function
    names = {**function.__globals__, **others}
    made = FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


class _Late:
    """Stands for a context manager until there is an error."""

    __slots__ = ("_args", "_manager")

    def __init__(self, manager: Callable[..., AbstractContextManager[Any]], *args: Any) -> None:
        self._manager, self._args = manager, args

    def __enter__(self) -> None:
        """Nothing, so far."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error is not None:
            with self._manager(*self._args):
                raise error


def late(manager: Callable[..., AbstractContextManager[Any]]) -> Any:
    """What only maps errors to others is entered when there is one: to make and enter it costs more than the step."""
    return partial(_Late, manager)
