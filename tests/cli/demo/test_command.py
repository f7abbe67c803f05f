"""`meshware demo` from the outside: its options, its help, and what is missing."""

from __future__ import annotations

import sys

import pytest
from click.testing import CliRunner

from meshware.cli.demo.command import demo


def test_the_help_says_what_is_compared():
    shown = CliRunner().invoke(demo, ["--help"]).output
    for word in ("--seconds", "--json", "--seed", "without", "decorated", "tenacity", "503", "Ctrl-C"):
        assert word in shown


@pytest.mark.parametrize("seconds", ["44", "-1", "nan", "soon"])
def test_a_run_that_is_too_short_is_refused(seconds):
    found = CliRunner().invoke(demo, ["--seconds", seconds])
    assert found.exit_code == 2
    assert "--seconds" in found.output


def test_what_is_missing_is_named_with_the_extra_that_has_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenacity", None)
    found = CliRunner().invoke(demo, [])
    assert found.exit_code == 1
    assert "tenacity is not installed" in found.output
    assert "meshware[demo]" in found.output
