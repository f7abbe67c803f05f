"""meshware beside Envoy, HAProxy, nginx and what people write by hand: calls to a fleet in trouble, live on loopback.

    python benchmarks/live.py [--quick] [--json FILE [--resume]] [--picture FILE] [--markdown FILE]
                              [--scenario NAME]... [--contender NAME]... [--seeds N] [--seconds S] [--lanes N]

Every contender of a seed gets the same calls at the same times. Some cells run side by side (lanes), contenders of a
scenario one after another in random order; one of eight client processes has the machine to itself. The proxies are
those found on this machine (PATH, or MESHWARE_ENVOY, MESHWARE_HAPROXY, MESHWARE_NGINX). docs/benchmarks.md says what is
measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import groupby
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from fleets.cell import CONTENDERS, Job, Lane, child
from fleets.contenders import MESH_SETTINGS, settings_of
from fleets.figures import Cell
from fleets.peers import PEERS, found, version
from fleets.scenario import Live, table
from fleets.showing import markdown, picture, show
from fleets.verdicts import ALONE, ORACLE, WORKERS, Results

from meshware.core.errors import SettingsError
from meshware.settings.load import load

BETWEEN = 0.7
"""Seconds that a cell takes beside its load."""

PATIENCE = 1.5
"""Times its estimate after which no further cell is begun."""

QUICK = 3.0


def asked(arguments: list[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"one seed, {QUICK:g} s a cell: for trying it out")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, help="of each cell; its scenario is squeezed into them")
    parser.add_argument("--scenario", action="append", choices=list(table()))
    parser.add_argument("--contender", action="append", choices=list(CONTENDERS))
    parser.add_argument("--lanes", type=int, default=3, help="cells that run at the same time")
    parser.add_argument("--json", type=Path, help="where every cell is written as it ends")
    parser.add_argument("--resume", action="store_true", help="cells that are there already are not run again")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.seconds = 1, options.seconds or QUICK
    return options


# What is run


def contenders(wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Those who are there, and notes on those who are not."""
    here, notes = [], []
    for name in CONTENDERS:
        if wanted and name not in wanted and name != ORACLE:
            continue
        reason = absent(name)
        here += [] if reason else [name]
        notes += [f"{name} is left out: {reason}."] if reason else []
    return here, notes


def absent(name: str) -> str | None:
    """Why a contender cannot run here."""
    if name in PEERS and found(PEERS[name].program) is None:
        return f"{PEERS[name].program} is not installed"
    if name in MESH_SETTINGS:
        try:
            load(settings_of("bench", [("127.0.0.1", 1)], MESH_SETTINGS[name]))
        except SettingsError as error:
            return f"this version knows no such settings ({error.problems[0]})"
    return None


def jobs(scenarios: Sequence[Live], names: Sequence[str], seeds: int) -> Iterator[Job]:
    """Seed by seed, so that what is there at any time is whole; in random order within a scenario."""
    for seed in range(1, seeds + 1):
        for scenario in scenarios:
            fit = [name for name in names if name != ALONE or scenario.name.startswith(WORKERS)]
            for name in random.Random(f"{seed} {scenario.name}").sample(fit, len(fit)):
                yield Job(scenario, name, seed)


# Running


def lane(number: int, pipe: Any) -> None:
    """A process that runs the cells that it is told to; when it is ended, so are its fleet, proxy and clients."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    runs = Lane(number)
    while (job := pipe.recv()) is not None:
        try:
            pipe.send((job, runs.run(job), None))
        except Exception as error:
            pipe.send((job, None, f"{type(error).__name__}: {error}"))


def run(waiting: list[Job], lanes: int, until: float) -> Iterator[tuple[Job, Cell | None, str | None]]:
    """Every cell as it ends: its figures, or what went wrong."""
    working = [child(lane, number) for number in range(min(lanes, len(waiting)))]
    pipes = [each.__enter__() for each in working]
    try:
        for lonely, todo in groupby(waiting, alone):
            yield from _side_by_side(todo, pipes[:1] if lonely else pipes, until)
        for pipe in pipes:
            pipe.send(None)
    finally:
        for each in working:
            each.__exit__(None, None, None)


def alone(job: Job) -> bool:
    """Whether nothing runs beside a cell: its many processes would measure each other."""
    return job.scenario.processes > 1


def _side_by_side(
    todo: Iterator[Job], pipes: Sequence[Any], until: float
) -> Iterator[tuple[Job, Cell | None, str | None]]:
    busy = [pipe for pipe in pipes if _give(pipe, todo, until)]
    while busy:
        for pipe in wait(busy):
            yield pipe.recv()  # type: ignore[union-attr]
            if not _give(pipe, todo, until):
                busy.remove(pipe)


def _give(pipe: Any, todo: Iterator[Job], until: float) -> bool:
    """The next cell to this lane; False when there is none, or no time for it."""
    job = next(todo, None) if time.monotonic() < until else None
    if job is not None:
        pipe.send(job)
    return job is not None


# What is kept


def key(job: Job) -> str:
    """Of a cell, in the file."""
    return f"{job.scenario.name}/{job.contender}/{job.seed}/{job.scenario.duration:g}"


def read(file: Path | None) -> dict[str, Any]:
    """The cells of an earlier run."""
    return json.loads(file.read_text())["cells"] if file is not None and file.exists() else {}


def write(file: Path | None, about: dict[str, Any], cells: dict[str, Any]) -> None:
    """Whole or not at all."""
    if file is not None:
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps({"about": about, "cells": cells}, indent=1))
        partial.replace(file)


def about(names: Sequence[str]) -> dict[str, Any]:
    """The machine and the versions."""
    programs = {PEERS[name].program for name in names if name in PEERS}
    return {
        "python": platform.python_version(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "machine": f"{platform.system()} {platform.machine()}",
        **{program: version(program) for program in sorted(programs)},
    }


def main(arguments: list[str] | None = None) -> None:
    """Run what is wanted, and show what came of it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was begun is ended on this way out, too
    options = asked(arguments)
    names, notes = contenders(options.contender)
    scenarios = [each for name, each in table().items() if not options.scenario or name in options.scenario]
    if options.seconds:
        scenarios = [each.lasting(options.seconds) for each in scenarios]
    wanted = list(jobs(scenarios, names, options.seeds))
    cells = read(options.json) if options.resume else {}
    waiting = [each for each in wanted if key(each) not in cells]
    seconds = sum((each.scenario.duration + BETWEEN) / (1 if alone(each) else options.lanes) for each in waiting)
    print(
        f"{len(waiting)} of {len(wanted)} cells to run, {options.lanes} at a time: about {seconds / 60:.0f} min",
        flush=True,
    )
    machine = about(names)
    print(", ".join(f"{name} {each}" for name, each in machine.items()), *notes, sep="\n", flush=True)
    for job, cell, error in run(waiting, options.lanes, time.monotonic() + 60 + PATIENCE * seconds):
        if cell is None:
            notes.append(f"{key(job)} failed: {error}")
            print(notes[-1], flush=True)
            continue
        cells[key(job)] = cell._asdict()
        write(options.json, machine, cells)
    there = {(each.scenario.name, each.contender, each.seed): cells.get(key(each)) for each in wanted}
    results = Results({place: Cell(**each) for place, each in there.items() if each is not None})
    results.contenders.sort(key=list(CONTENDERS).index)
    results.scenarios.sort(key=list(table()).index)
    show(results, notes)
    if options.picture is not None:
        picture(results, options.picture)
    if options.markdown is not None:
        told = ", ".join(f"{name} {each}" for name, each in machine.items())
        options.markdown.write_text(markdown(results, [f"On {told}.", *notes]))


if __name__ == "__main__":
    main()
