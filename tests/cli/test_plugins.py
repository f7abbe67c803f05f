"""`meshware plugins`: what is installed, whose it is, and what is wrong with it."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from meshware import plugins
from meshware.cli import main

BUILT_IN = {
    ("meshware.strategies", "least_request"),
    ("meshware.strategies", "peak_ewma"),
    ("meshware.strategies", "random"),
    ("meshware.strategies", "round_robin"),
    ("meshware.clients", "requests"),
    ("meshware.frameworks", "flask"),
}


def run(*arguments):
    return CliRunner().invoke(main, ["plugins", *arguments])


def rows(*arguments):
    return {(row["group"], row["name"]): row for row in json.loads(run(*arguments, "--json").stdout)}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs a distribution with these entry points, as pip would leave it."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def install(name, entry_points, source="class Cheapest: ..."):
        info = tmp_path / f"{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(entry_points)
        (tmp_path / f"{name}.py").write_text(source)
        plugins.installed.cache_clear()

    yield install
    plugins.installed.cache_clear()


def test_everything_built_in_is_there_with_its_object_and_package():
    found = rows()
    assert set(found) >= BUILT_IN
    row = found["meshware.strategies", "peak_ewma"]
    assert row["object"] == "meshware.balancing.peak_ewma:PeakEwma"
    assert row["package"].startswith("meshware ")
    assert row["problem"] is None


def test_everything_built_in_can_be_imported():
    ran = run("--load")
    assert ran.exit_code == 0
    assert all(rows("--load")[each]["problem"] is None for each in BUILT_IN)


def test_the_table_names_every_plugin_in_full():
    ran = run()
    assert ran.exit_code == 0
    text = "".join(ran.stdout.split())
    assert all(name in text for _, name in BUILT_IN)


def test_a_third_partys_plugin_stands_beside_the_built_in_ones(package):
    package("fair", "[meshware.strategies]\ncheapest = fair:Cheapest\n")
    row = rows("--load")["meshware.strategies", "cheapest"]
    assert (row["object"], row["package"], row["problem"]) == ("fair:Cheapest", "fair 1.2", None)


def test_a_name_that_two_packages_bring_is_a_problem_that_names_both(package):
    package("fair", "[meshware.strategies]\ncheapest = fair:Cheapest\n")
    package("foul", "[meshware.strategies]\ncheapest = foul:Cheapest\n")
    assert run().exit_code == 1
    row = rows()["meshware.strategies", "cheapest"]
    assert row["package"] == "fair 1.2, foul 1.2"
    assert "used twice" in row["problem"]


def test_a_plugin_that_cannot_be_imported_is_a_problem_when_asked_for(package):
    package("broken", "[meshware.observers]\nbroken = broken:Missing\n", source="raise RuntimeError('[bold]no[/]')")
    assert run().exit_code == 0
    ran = run("--load")
    assert ran.exit_code == 1
    assert "[bold]no[/]" in "".join(ran.stdout.split())
    assert "RuntimeError" in rows("--load")["meshware.observers", "broken"]["problem"]


def test_a_plugin_that_waits_for_an_extra_is_no_problem_but_says_so(package):
    source = "from meshware.core.errors import MissingExtra\nraise MissingExtra('pretend', 'tls')"
    package("waiting", "[meshware.observers]\nwaiting = waiting:Missing\n", source=source)
    ran = run("--load")
    assert ran.exit_code == 0
    assert "needsmeshware[tls]" in "".join(ran.stdout.split())
    row = rows("--load")["meshware.observers", "waiting"]
    assert (row["problem"], row["needs"]) == (None, "meshware[tls]")
