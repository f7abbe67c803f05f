"""Runs the demo's work so that Ctrl-C and SIGTERM end it, and all that it has started."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import click

T = TypeVar("T")


def terminable(work: Coroutine[Any, Any, T]) -> T:
    """What it gives; Exit(130) when it was ended by a signal. Raises the first plain error of a group."""
    try:
        return asyncio.run(_watched(work))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise click.exceptions.Exit(130) from None
    except BaseExceptionGroup as group:
        raise first(group) from None


async def _watched(work: Coroutine[Any, Any, T]) -> T:
    task = asyncio.ensure_future(work)
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # asyncio's own cancels between any two steps of the loop's callbacks
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain error of a group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
