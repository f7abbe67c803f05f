"""The command as a user meets it first: what it offers, how fast it says so, and its exit codes."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from meshware.cli import main

COMMANDS = ["check", "demo", "plugins", "run", "schema", "simulate"]


def run(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_help_names_every_command_and_what_the_exit_codes_mean():
    ran = run("--help")
    assert ran.exit_code == 0
    assert all(f"  {name} " in ran.output for name in COMMANDS)
    assert "Exit codes" in ran.output


def test_help_imports_none_of_the_commands():
    program = "import sys, meshware.cli as cli; cli.main(['--help'], standalone_mode=False); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(ran.stdout.split())
    assert "click" in loaded
    assert not loaded & {"rich", "pydantic", "flask", "requests", "starlette", "meshware.mesh"}
    assert not {name for name in loaded if name.startswith("meshware.cli.")}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_worth_reading(name):
    ran = run(name, "--help")
    assert ran.exit_code == 0
    assert "--json" in ran.output
    assert len(ran.output.splitlines()) > 15


@pytest.mark.parametrize("name", ["check", "plugins", "run", "schema"])
def test_help_has_examples_and_exit_codes(name):
    assert f"meshware {name} " in run(name, "--help").output
    assert "Exit codes: " in run(name, "--help").output


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["check"], ["check", "a", "b"], ["plugins", "--nonsense"], ["run"], ["schema", "a"]]
)
def test_a_wrong_command_line_is_exit_code_2(arguments):
    ran = run(*arguments)
    assert ran.exit_code == 2
    assert "Usage:" in ran.output


def test_the_version_is_the_packages():
    assert version("meshware") in run("--version").output


def test_the_command_is_installed_under_its_name():
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["meshware"] == "meshware.cli:main"
    command = Path(sys.executable).with_name("meshware")
    ran = subprocess.run([command, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.split()[2:] == run("--help").output.split()[2:]
