"""`meshware check`: every way to point at settings, every problem at once, and nothing started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli.checking import check, told

# Right


@pytest.mark.parametrize(
    "path",
    ["mesh", "mesh:MESHWARE", "mesh:MODEL", "app", "app:plain", "app:app", "app:wrapped", "app:create_app"],
)
def test_settings_are_found_wherever_they_stand(shop, path):
    code, said = told(f"{shop}.{path}")
    assert code == 0
    assert said["ok"] is True
    assert said["problems"] == []
    assert list(said["services"]) == ["inventory", "pricing"]
    assert said["services"]["inventory"]["timeout"] == 2.5
    assert len(said["services"]["inventory"]["endpoints"]) == 5


def test_the_summary_shows_each_service_in_a_few_words(shop):
    ran = check(f"{shop}.mesh")
    assert ran.exit_code == 0
    words = " ".join(ran.stdout.split())
    for expected in ["inventory", "10.0.0.1:80", "and 2 more", "round_robin", "2.5 s", "[::1]:80", "2 service(s)"]:
        assert expected in words
    assert "10.0.0.4:80" not in words


def test_nothing_is_called_and_no_thread_is_started(shop):
    program = f"""
import threading
from click.testing import CliRunner
from meshware.cli import main
assert CliRunner().invoke(main, ["check", "{shop}.app:app"]).exit_code == 0
print(threading.active_count())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "1\n"


# Wrong


def test_every_problem_is_said_at_once_with_its_path_and_the_nearest_right_name(shop):
    ran = check(f"{shop}.mesh:BAD")
    assert ran.exit_code == 1
    assert ran.stdout == ""
    for expected in [
        "4 problem(s)",
        "servces: {}: unknown key",
        "did you mean 'services'?",
        "services.inventory.endpoints: []: no endpoints",
        "services.inventory.timeout: -1",
        "did you mean 'round_robin'?",
    ]:
        assert expected in ran.stderr


def test_problems_are_there_for_programs_too(shop):
    code, said = told(f"{shop}.mesh:BAD")
    assert code == 1
    assert said["ok"] is False
    assert said["services"] == {}
    by_path = {problem["path"]: problem for problem in said["problems"]}
    assert set(by_path) == {
        "servces",
        "services.inventory.endpoints",
        "services.inventory.timeout",
        "services.pricing.strategy",
    }
    assert by_path["services.pricing.strategy"]["nearest"] == "round_robin"
    assert by_path["services.inventory.timeout"]["value"] == "-1"


def test_an_app_that_is_refused_its_settings_at_import_shows_those_problems(shop):
    code, said = told(f"{shop}.app:create_wrong")
    _, expected = told(f"{shop}.mesh:BAD")
    assert {each.pop("where") for each in expected["problems"]} == {f"{shop}.mesh:BAD"}
    assert {each.pop("where") for each in said["problems"]} == {None}
    assert (code, said) == (1, expected)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("nothing", "No module named"),
        ("mesh:MESHWERE", "did you mean 'MESHWARE'?"),
        ("mesh:NUMBER", "a dict of settings or an app"),
        ("app:bare", 'a dict under app.config["MESHWARE"]'),
        ("app:create_none", "a function that makes an app (TypeError"),
        ("broken", "KeyError: 'SHOP_DATABASE_THAT_NOBODY_SET', at"),
        ("typo", "was never closed"),
    ],
)
def test_a_source_that_holds_no_settings_says_why(shop, path, expected):
    ran = check(f"{shop}.{path}")
    assert ran.exit_code == 1
    assert expected in ran.stderr
    assert "Traceback" not in ran.output


def test_a_module_that_fails_is_named_with_the_line(shop):
    assert str(Path(shop) / "broken.py") + ":4" in check(f"{shop}.broken").stderr


@pytest.mark.parametrize("source", ["", ":", ":MESHWARE", "..", "a b", "shop/mesh.py", "x" * 5000])
def test_an_odd_source_is_a_problem_and_no_crash(shop, source):
    ran = check("--", source)
    assert ran.exit_code == 1
    assert "1 problem(s)" in ran.stderr


# As a process


def test_the_command_finds_modules_in_the_directory_it_is_called_in(shop):
    command = Path(sys.executable).with_name("meshware")
    right = subprocess.run([command, "check", f"{shop}.mesh"], capture_output=True, text=True, timeout=60)
    wrong = subprocess.run([command, "check", f"{shop}.mesh:BAD"], capture_output=True, text=True, timeout=60)
    assert (right.returncode, wrong.returncode) == (0, 1)
    assert "2 service(s), no problem" in right.stdout
    assert "4 problem(s)" in wrong.stderr
