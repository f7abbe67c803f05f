"""Workers of one host, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sharing.worker import Worker


class Remote:
    """A process of one of the programs here, `worker` or `server`: each of its methods is one of ours."""

    def __init__(self, program: str = "worker", **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(f"{program}.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say(options)

    def ready(self) -> Remote:
        self.pid = self._hear()
        return self

    def __getattr__(self, name: str) -> Any:
        return partial(self._ask, name)

    def _ask(self, name: str, **arguments: Any) -> Any:
        self._say([name, arguments])
        return self._hear()

    def _say(self, what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the worker has ended: {self.process.wait(5)}"
        return json.loads(line)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """As a worker ends whose server stops it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


class Local:
    """The same worker, in this process."""

    def __init__(self, **options: Any) -> None:
        self._worker = Worker(**options)
        self.pid = os.getpid()

    def __getattr__(self, name: str) -> Any:
        return lambda **arguments: json.loads(json.dumps(getattr(self._worker, name)(**arguments)))

    def end(self) -> None:
        self._worker.close(now=0.0)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "boards"


@pytest.fixture
def hire(directory):
    """`hire(2, ...)`: so many workers that share one directory, unless told another."""
    hired: list[Any] = []

    def make(count: int = 1, *, program: str = "worker", **options: Any) -> list[Any]:
        options = {"directory": str(directory), **options}
        local = [Local(**options)] if program == "worker" and count > 1 else []  # the last of several is this process
        fresh = [Remote(program, **options) for _ in range(count - len(local))]
        hired.extend([*fresh, *local])
        return [*(each.ready() for each in fresh), *local]

    yield make
    for each in hired:
        each.end()


def swept(workers: list[Remote], now: float) -> float:
    """Everybody says and hears everything; the time after that."""
    for _ in range(2):
        for each in workers:
            each.sweep(now=now)
        now += 0.02
    return now


def wait_until(true, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
