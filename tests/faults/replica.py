"""The faulty server in a process of its own: it can be frozen (SIGSTOP), killed, and started again at its port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType

TESTS = Path(__file__).parents[1]

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from faults.upstream import Upstream
with Upstream(port={port}) as upstream:
    print(upstream.port, flush=True)
    sys.stdin.read()
"""


class Replica:
    """Answers as its paths say (see behaviours.py). `restart` is a deploy: gone, then at the same port again."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.start()
        self.address = f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Begin to serve; returns when it does."""
        program = PROGRAM.format(tests=str(TESTS), port=self.port)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen([sys.executable, "-c", program], **pipes)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def freeze(self) -> None:
        """It runs no more, and its sockets stay."""
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until it has stopped

    def thaw(self) -> None:
        """It runs again."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """It is gone, as by SIGKILL."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def restart(self, away: float = 0.0) -> None:
        """Gone for so many seconds at least."""
        self.stop()
        time.sleep(away)
        self.start()

    def __enter__(self) -> Replica:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.thaw()
        self.stop()
