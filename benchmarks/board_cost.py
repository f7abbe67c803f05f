"""What it costs a call that eight workers of a host share what they know: the same call without the board and with it.

    python benchmarks/board_cost.py [--quick] [--json FILE]

Each in a worker of its own, while seven more of those that share call a little. The budget is 2 us a call, so look at
the last column too.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from comparing import Run, apart, asked, interleaved, ratio, show, timed

from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh

WORKERS = 8
ENDPOINTS = [f"10.0.0.{number}:80" for number in range(1, 11)]


def worker(directory: str, *, board: bool) -> Callable[[ExitStack], Run]:
    """One that calls ten endpoints, nobody there."""

    def begin(stack: ExitStack) -> Run:
        services = {"inventory": {"endpoints": ENDPOINTS}}
        settings = {"service": "bench", "board": {"enabled": board, "directory": directory}, "services": services}
        mesh = Mesh.from_settings(settings)
        stack.callback(mesh.close)
        call = caller(mesh)
        while board and len(mesh.board().get("workers", ())) < WORKERS:
            call()
            time.sleep(0.01)
        return timed(call)

    return begin


def colleague(begin: Callable[[ExitStack], Run]) -> None:
    """A worker that calls now and then."""
    with ExitStack() as stack:
        run = begin(stack)
        while True:
            run(1)
            time.sleep(0.02)


def caller(mesh: Mesh) -> Callable[[], None]:
    """One good call, without a network."""
    request, clock = Request("GET", "inventory", "/", {}), time.monotonic

    def call() -> None:
        call = mesh.call(mesh.services["inventory"], request)
        attempt = call.begin(clock())
        call.answered(attempt, Outcome(elapsed=0.01, status=200), clock())
        call.ended(attempt, Ending.COMPLETE, 0.01, clock())

    return call


@contextmanager
def colleagues(directory: str) -> Iterator[None]:
    """All the others that share."""
    context = multiprocessing.get_context("fork")
    begin = worker(directory, board=True)
    others = [context.Process(target=colleague, args=(begin,), daemon=True) for _ in range(WORKERS - 1)]
    for each in others:
        each.start()
    try:
        yield
    finally:
        for each in others:
            each.kill()
            each.join()


def main(arguments: list[str] | None = None) -> None:
    """Measure, and show."""
    options = asked(__doc__, arguments)
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(colleagues(directory))
        runs: dict[str, Run] = {
            name: stack.enter_context(apart(worker(directory, board=board)))
            for name, board in (("alone", False), (f"with {WORKERS - 1} others", True))
        }
        rounds, count = (5, 200) if options.quick else (60, 1000)
        seconds = interleaved(runs, rounds=rounds, count=count)
    found = [ratio(seconds, name, over="alone") for name in runs]
    added = found[1].microseconds - found[0].microseconds
    show(found, title=f"the board adds {added:.1f} µs to a call (budget: 2)", file=options.json)


if __name__ == "__main__":
    main()
