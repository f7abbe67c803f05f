"""Cells that are written and read by several processes at once, without a lock."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = r"""
import os, sys
from pathlib import Path
from meshware.sharing.cells import opened

path, role, number, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ints, floats = opened(path, cells=64, identity=1).views()
CELL, VERSION, PAIR = 16, 20 + 4 * number, 21 + 4 * number

def write():
    low = (1 << 32) - 1
    turn = 0
    while ints[10] < 2:  # until both readers have had enough
        turn = turn + 1 & low >> 1
        ints[CELL] = turn << 32 | turn  # both writers, the same cell: whole values only
        floats[VERSION] += 1
        floats[PAIR] = turn
        floats[PAIR + 1] = -turn
        floats[VERSION] += 1
    if number == 0:
        os._exit(0)

def read():
    torn = mixed = 0
    for turn in range(count):
        value = ints[CELL]
        torn += value >> 32 != value & (1 << 32) - 1
        before = floats[VERSION]
        one, other = floats[PAIR], floats[PAIR + 1]
        mixed += before % 2 == 0 and floats[VERSION] == before and one != -other
    ints[11 + number] = 1
    ints[10] = ints[11] + ints[12]
    print(torn, mixed)

{"write": write, "read": read}[role]()
"""


@pytest.mark.parametrize("reads", [50_000, pytest.param(10**7, marks=pytest.mark.soak)])
def test_two_writers_and_two_readers_see_no_half_of_anything(tmp_path, reads):
    def run(role: str, number: int) -> subprocess.Popen[str]:
        arguments = [str(tmp_path / "cells"), role, str(number), str(reads)]
        return subprocess.Popen([sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True)

    processes = [run(role, number) for role in ("write", "read") for number in range(2)]
    said = [each.communicate()[0] for each in processes]

    assert [each.returncode for each in processes] == [0] * 4
    assert said[2:] == ["0 0\n"] * 2
    assert Path(tmp_path / "cells").stat().st_size == 64 * 8
