"""What it costs a call that eight workers of a host share what they know: the same call without the board and with it.

    python benchmarks/board_cost.py [--quick] [--json FILE]

Seven more workers call a little meanwhile. The budget is 2 us a call, so look at the last column too.
"""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from comparing import asked, interleaved, ratio, show, timed

from meshware.core.outcome import Ending, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh

WORKERS = 8
ENDPOINTS = [f"10.0.0.{number}:80" for number in range(1, 11)]


def mesh_of(directory: str, *, board: bool) -> Mesh:
    """Ten endpoints, nobody there."""
    services = {"inventory": {"endpoints": ENDPOINTS}}
    settings = {"service": "bench", "board": {"enabled": board, "directory": directory}, "services": services}
    return Mesh.from_settings(settings)


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
def colleagues(mesh: Mesh) -> Iterator[None]:
    """Forked workers that share with this one, and call now and then."""
    pids = []
    for _ in range(WORKERS - 1):
        pid = os.fork()
        if not pid:
            call = caller(mesh)
            while True:
                call()
                time.sleep(0.02)
        pids.append(pid)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and show."""
    options = asked(__doc__, arguments)
    with tempfile.TemporaryDirectory() as directory:
        alone, sharing = mesh_of(directory, board=False), mesh_of(directory, board=True)
        with colleagues(sharing):
            call = caller(sharing)
            while len(sharing.board().get("workers", ())) < WORKERS:
                call()
                time.sleep(0.01)
            runs = {"alone": timed(caller(alone)), f"with {WORKERS - 1} others": timed(call)}
            rounds, count = (5, 200) if options.quick else (60, 1000)
            seconds = interleaved(runs, rounds=rounds, count=count)
        found = [ratio(seconds, name, over="alone") for name in runs]
        for mesh in (alone, sharing):
            mesh.close()
    added = found[1].microseconds - found[0].microseconds
    show(found, title=f"the board adds {added:.1f} µs to a call (budget: 2)", file=options.json)


if __name__ == "__main__":
    main()
