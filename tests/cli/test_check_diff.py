"""`meshware check --diff OLD NEW`: what a reload would change, in words and for programs, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.checking import check

OLD = """
[services.inventory]
endpoints = ["10.0.0.1:80", "10.0.0.2:80"]
timeout = 2.0
[services.pricing]
endpoints = ["10.0.1.1:80"]
"""

NEW = """
[services.inventory]
endpoints = ["10.0.0.2:80", {address = "10.0.0.3:80", weight = 2}]
timeout = 3.0
[services.billing]
endpoints = ["10.0.2.1:80"]
"""


@pytest.fixture
def files(shop):
    Path("old.toml").write_text(OLD)
    Path("new.toml").write_text(NEW)
    Path("bad.toml").write_text("[services.inventory]\nendpoints = []\ntimeout = -1\n")
    return "old.toml", "new.toml"


def test_it_says_in_words_what_would_change(files):
    ran = check("--diff", *files)
    assert ran.exit_code == 0
    assert ran.stdout.splitlines() == [
        "services: pricing removed",
        "services.inventory.endpoints: 10.0.0.1:80 removed",
        "services.inventory.endpoints: 10.0.0.3:80 added",
        "services.inventory.timeout: 2.0 -> 3.0",
        "services: billing added",
        "5 change(s)",
    ]


def test_programs_get_each_change_with_both_values(files):
    ran = check("--diff", *files, "--json")
    said = json.loads(ran.stdout)
    assert (ran.exit_code, said["ok"], said["problems"]) == (0, True, [])
    by_kind = {(each["path"], each["name"]): each for each in said["changes"]}
    timeout = by_kind["services.inventory.timeout", None]
    assert (timeout["kind"], timeout["old"], timeout["new"]) == ("changed", 2.0, 3.0)
    added = by_kind["services.inventory.endpoints", "10.0.0.3:80"]
    assert (added["kind"], added["old"], added["new"]["weight"]) == ("added", None, 2.0)
    assert by_kind["services", "billing"]["new"]["endpoints"][0]["address"] == "10.0.2.1:80"
    assert by_kind["services", "pricing"]["kind"] == "removed"


def test_where_nothing_would_change_it_says_so(files):
    Path("same.yaml").write_text("services: {inventory: {timeout: 2, endpoints: [10.0.0.1:80, 10.0.0.2:80]}}\n")
    Path("same.toml").write_text(OLD.replace("[services.pricing]\n", "# the same\n[services.pricing]\n"))
    ran = check("--diff", "old.toml", "same.toml")
    assert (ran.exit_code, ran.stdout) == (0, "nothing would change\n")
    assert json.loads(check("--diff", "old.toml", "same.toml", "--json").stdout)["changes"] == []


def test_a_file_may_be_compared_with_a_module(files, shop):
    ran = check("--diff", f"{shop}.mesh", "new.toml")
    assert ran.exit_code == 0
    assert "services.inventory.strategy: round_robin -> adaptive" in ran.stdout


def test_where_either_is_wrong_every_problem_of_both_is_said(files):
    ran = check("--diff", "bad.toml", "nothing.toml")
    assert (ran.exit_code, ran.stdout) == (1, "")
    for expected in ("3 problem(s)", "services.inventory.timeout", "services.inventory.endpoints", "nothing.toml"):
        assert expected in ran.stderr
    ran = check("--diff", "old.toml", "bad.toml", "--json")
    said = json.loads(ran.stdout)
    assert (ran.exit_code, said["ok"], len(said["problems"]), said["changes"]) == (1, False, 2, [])


@pytest.mark.parametrize(
    "arguments", [("--diff", "old.toml"), ("old.toml", "--diff", "a", "b"), ("--all", "--diff", "a", "b")]
)
def test_anything_else_is_wrong_usage(files, arguments):
    assert check(*arguments).exit_code == 2
