"""Real servers: switched, killed, started again, and never left behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import click
import pytest

from meshware.cli.demo.ask import ask
from meshware.cli.demo.fleet import Fleet, bound, ready
from meshware.cli.demo.plan import Kind
from meshware.cli.demo.processes import Processes, cpu_of

TIMES = {"inventory": 0.005, "pricing": 0.025}


def with_fleet(scenario):
    """Run a coroutine function against a whole fleet."""

    async def main():
        fleet = Fleet("without", TIMES)
        try:
            await fleet.start()
            return await scenario(fleet)
        finally:
            fleet.stop()

    return asyncio.run(main())


def gone(group):
    """Whether no process of the group lives; whose parent was killed may stay a zombie, where nobody collects it."""
    until = time.monotonic() + 5
    while living := [each for each in members(group) if each not in ("Z", "X")]:
        if time.monotonic() > until:
            return living
        time.sleep(0.02)
    return True


def members(group):
    """The states of a group's processes."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended while we looked
        if int(fields[2]) == group:
            yield fields[0]


async def timed(port):
    began = time.monotonic()
    answer = await ask(port, "/")
    return answer.status, time.monotonic() - began


def test_a_replica_is_switched_killed_and_started_again_on_its_port():
    async def scenario(fleet):
        replica = fleet.replicas["pricing-2"]
        healthy = await timed(replica.port)
        await fleet.turn("pricing-2", Kind.SLOW)
        slow = await timed(replica.port)
        await fleet.turn("pricing-2", Kind.FAILING)
        failing = await timed(replica.port)
        await fleet.turn("pricing-2", Kind.KILLED)
        with pytest.raises(ConnectionRefusedError):
            await ask(replica.port, "/")
        await fleet.turn("pricing-2", Kind.HEALTHY)
        again = await timed(replica.port)
        page = await ask(fleet.port, "/")
        await fleet.count()
        counts = {name: len(each.arrived) for name, each in fleet.replicas.items()}
        return healthy, slow, failing, again, page, counts, fleet.processes.group

    healthy, slow, failing, again, page, counts, group = with_fleet(scenario)
    assert [status for status, _ in (healthy, slow, failing, again)] == [200, 200, 503, 200]
    assert slow[1] >= 20 * TIMES["pricing"]
    assert failing[1] < slow[1]
    assert page.status == 200
    assert json.loads(page.body)["stock"]["from"].startswith("inventory")
    assert counts["pricing-2"] == 4
    assert sum(counts.values()) == 6
    assert gone(group) is True


def test_a_server_that_cannot_start_is_named_with_what_it_wrote():
    processes = Processes()
    try:
        child = processes.spawn("pricing-9", [sys.executable, "-c", "raise SystemExit('no such luck')"], fds=[], env={})
        with pytest.raises(click.ClickException, match=r"(?s)pricing-9 did not start.*no such luck"):
            asyncio.run(ready(child, 1, "/"))
    finally:
        processes.stop()


def test_a_replica_that_died_of_itself_is_named():
    async def scenario(fleet):
        fleet.replicas["pricing-3"].child.kill()
        with pytest.raises(click.ClickException, match=r"pricing-3 does not answer /arrivals.*ConnectionRefused"):
            await fleet.count()

    with_fleet(scenario)


def test_a_bound_port_refuses_until_somebody_listens():
    with bound() as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            asyncio.run(ask(port, "/"))
        sock.listen()
        with pytest.raises(TimeoutError):
            asyncio.run(ask(port, "/", timeout=0.05))
        with pytest.raises(click.ClickException, match="no free port"):
            bound(port)


def test_cpu_seconds_of_dead_children_still_count():
    processes = Processes()
    try:
        burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True)\ntime.sleep(60)"
        child = processes.spawn("burner", [sys.executable, "-c", burn], fds=[], env={})
        until = time.monotonic() + 20
        while "done" not in child.wrote() and time.monotonic() < until:
            time.sleep(0.05)
        used = processes.cpu()
        child.kill()
        assert used >= 0.25  # counted in ticks
        assert processes.cpu() >= used
        assert child.process.pid not in cpu_of(processes.group)
    finally:
        processes.stop()


def marked(mark):
    """Processes with this mark in their environment."""
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environ.read_bytes():
                found.append(int(environ.parent.name))
        except OSError:
            continue  # it ended, or is not ours
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_command(number):
    mark = uuid.uuid4().hex
    command = [sys.executable, "-m", "meshware.cli.demo.command", "--json"]
    with subprocess.Popen(
        command, env={**os.environ, "MARK": mark}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as demo:
        until = time.monotonic() + 30
        while len(marked(mark)) < 10 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(marked(mark)) >= 10
        demo.send_signal(number)
        out, err = demo.communicate(timeout=20)
    until = time.monotonic() + 5
    while marked(mark) and time.monotonic() < until:
        time.sleep(0.05)
    assert marked(mark) == []
    assert out == b""
    assert b"Traceback" not in err
    assert demo.returncode == (-signal.SIGKILL if number is signal.SIGKILL else 130)
