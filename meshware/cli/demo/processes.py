"""The demo's child processes: one process group that cannot outlive the command.

A guardian leads the group and reads a pipe whose only writer is this process. When that is closed, by
`stop` or because this process died of anything, SIGKILL included, the guardian kills the group.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

GUARDIAN = "import os, signal, sys; sys.stdin.buffer.read(); os.killpg(0, signal.SIGKILL)"
GRACE = 3.0
"""Seconds that children have to end by themselves."""


class Child:
    """One child process and what it wrote."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self.name = name
        self.process = process
        self._log = log

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, as a crash would; returns when it is gone."""
        self.process.kill()
        self.process.wait()

    def gone(self) -> None:
        """Wait for its end and forget what it wrote."""
        self.process.wait()
        self._log.close()

    def wrote(self, lines: int = 10) -> str:
        """The last lines of its output, for an error message."""
        self._log.seek(0)
        return "\n".join(self._log.read().decode(errors="replace").splitlines()[-lines:])


class Processes:
    """Starts children in one group and ends them all. Not thread-safe."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._seconds: dict[int, float] = {}
        self._guardian = subprocess.Popen(
            [sys.executable, "-E", "-S", "-c", GUARDIAN],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    @property
    def group(self) -> int:
        """The process group of all children."""
        return self._guardian.pid

    def spawn(self, name: str, command: Sequence[str], *, fds: Sequence[int], env: Mapping[str, str]) -> Child:
        """Start a program that inherits `fds`; a terminal's Ctrl-C does not reach it."""
        log = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the child)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=fds,
            env={**surroundings(), **env},
            process_group=self.group,
        )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    def stop(self) -> None:
        """End every child, politely for a while; idempotent."""
        running = [child.process for child in self._children if child.alive]
        for process in running:
            process.terminate()
        until = time.monotonic() + GRACE
        for process in running:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                pass  # the guardian ends it
        self._guardian.communicate()
        for child in self._children:
            child.gone()

    def cpu(self) -> float:
        """CPU seconds that this group has used, those of its dead members as last seen included."""
        self._seconds.update(cpu_of(self.group))
        return sum(self._seconds.values())


def surroundings() -> dict[str, str]:
    """This process's environment without proxies: loopback calls must not leave the machine."""
    return {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}


def cpu_of(group: int) -> dict[int, float]:
    """CPU seconds of each process of a group, by its id."""
    if not Path("/proc/self/stat").exists():
        return _cpu_by_ps(group)
    tick = os.sysconf("SC_CLK_TCK")
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[2]) == group:
            found[int(stat.parent.name)] = (int(fields[11]) + int(fields[12])) / tick
    return found


def _cpu_by_ps(group: int) -> dict[int, float]:
    """The same where there is no /proc (macOS)."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,time="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in listed.stdout.splitlines()]
    return {int(pid): _clock(used) for pid, pgid, used in rows if int(pgid) == group}


def _clock(text: str) -> float:
    """Seconds of ps's [[dd-]hh:]mm:ss.cc."""
    days, _, rest = text.rpartition("-")
    seconds = 0.0
    for part in rest.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds + 86_400 * int(days or 0)
