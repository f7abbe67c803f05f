"""The benchmarks run, with few rounds: that their figures are good is theirs to show, not the tests'."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.untraced

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def run(script, *arguments):
    command = [sys.executable, str(BENCHMARKS / script), *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_cost_of_a_call_is_measured(tmp_path):
    file = tmp_path / "cost.json"
    assert "what a call costs" in run("call_cost.py", "--quick", "--json", str(file))
    found = json.loads(file.read_text())
    assert {"meshware", "meshware async", "import meshware"} <= {each["name"] for each in found}
    assert all(0 < each["low"] <= each["ratio"] <= each["high"] for each in found)


def test_what_each_client_gains_on_loopback_is_measured(tmp_path):
    file = tmp_path / "overhead.json"
    page = tmp_path / "overhead.md"
    assert "a call on loopback" in run("overhead.py", "--quick", "--json", str(file), "--markdown", str(page))
    found = json.loads(file.read_text())
    clients = ["requests", "httpx2", "httpx", "httpx2 async", "httpx async"]
    judged = [each for each in found if each["what"] == "p50 over direct" and each["budget"]]
    assert [each["client"] for each in judged] == clients
    assert {each["way"] for each in judged} == {"meshware"}
    assert all(each["low"] <= each["value"] <= each["high"] for each in found)
    assert [each["budget"] for each in found if each["what"] == "USS a worker gains"] == [6.0]
    assert "| requests | meshware | p50 over direct |" in page.read_text()


def test_what_a_door_in_adds_is_measured(tmp_path):
    file = tmp_path / "inbound.json"
    assert "what a door in adds" in run("inbound_cost.py", "--quick", "--json", str(file))
    found = json.loads(file.read_text())
    kinds = ("", ", told", ", streamed", ", counted", ", asked")
    assert [each["name"] for each in found] == [f"{door}{kind}" for door in ("WSGI", "ASGI") for kind in kinds]
    assert all(each["low"] <= each["added"] <= each["high"] and each["budget"] == 10 for each in found)


def test_the_reapers_spike_hits_nobody_else(tmp_path):
    file = tmp_path / "spike.json"
    run("spikes/reaper.py", "--races", "400", "--json", str(file))
    found = json.loads(file.read_text())
    assert set(found) == {
        f"{client} {scheme}" for client in ("requests", "httpx", "httpx2") for scheme in ("http", "https")
    }
    for each in found.values():
        assert {cell["outcome"] for cell in each["faults"].values()} == {"deadline"}
        assert not [name for name in each["races"] if name.startswith(("BYSTANDER", "ANOTHER"))]


def test_what_the_board_adds_to_a_call_is_measured(tmp_path):
    file = tmp_path / "board.json"
    assert "the board adds" in run("board_cost.py", "--quick", "--json", str(file))
    assert [each["name"] for each in json.loads(file.read_text())] == ["alone", "with 7 others"]


def test_what_routes_cost_a_call_is_measured(tmp_path):
    file = tmp_path / "routes.json"
    assert "what routes cost a call" in run("route_cost.py", "--quick", "--json", str(file))
    assert [each["name"] for each in json.loads(file.read_text())] == [f"{n} routes" for n in (0, 10, 100, 1000)]


def test_the_tables_of_what_strategies_are_worth_are_made():
    told = run("strategies.py", "--quick")
    assert re.search(r"\| `homogeneous` \| 1\.0\d \|", told)
    assert re.search(r"\| `adaptive` \| 1\.0\d \| 1\.0\d, `homogeneous` \|", told)


def test_what_mirrors_cost_their_calls_is_measured(tmp_path):
    file = tmp_path / "mirrors.json"
    assert "what a mirror costs its calls" in run("mirror_cost.py", "--quick", "--json", str(file))
    found = json.loads(file.read_text())
    assert [each["what"] for each in found] == ["p50", "p99"] * 3 + ["MiB"]
    assert [each["name"] for each in found[:6:2]] == ["dead", "slow", "1 GiB"]
