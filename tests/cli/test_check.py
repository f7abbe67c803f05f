"""`meshware check`: every way to point at settings, every problem at once, and nothing started."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import meshware.mesh
from meshware.cli import main
from meshware.cli.check import _origin
from meshware.outbound.instrument import uninstrument
from meshware.settings.explain import explain
from meshware.settings.load import load
from meshware.settings.origin import Source

SPREAD = {"defaults": {"timeout": 3.0}, "services": {"a": {"endpoints": ["b:1"]}}}

SHOP = """
import functools

from meshware.settings.schema import MeshSettings

MESHWARE = {
    "services": {
        "inventory": {"endpoints": [f"10.0.0.{n}:80" for n in range(1, 6)], "strategy": "round_robin", "timeout": 2.5},
        "pricing": {"endpoints": [{"address": "[::1]:80", "metadata": {"odd": object()}}], "tls": {}},
    }
}
MODEL = MeshSettings.model_validate(MESHWARE)
BAD = {
    "servces": {},
    "services": {
        "inventory": {"endpoints": [], "timeout": -1},
        "pricing": {"endpoints": ["a:1"], "strategy": "round_robbin"},
    },
}
NUMBER = 5
"""

APP = """
from flask import Flask

from meshware.inbound.flask import Meshware
from meshware.inbound.wsgi import MeshMiddleware
from {package}.mesh import BAD, MESHWARE

plain = Flask("plain")
plain.config["MESHWARE"] = MESHWARE
bare = Flask("bare")
app = Flask("app")
Meshware(app, settings=MESHWARE)
wrapped = MeshMiddleware(bare.wsgi_app, MESHWARE)


def create_app():
    made = Flask("made")
    Meshware(made, settings=MESHWARE)
    return made


def create_wrong():
    made = Flask("wrong")
    Meshware(made, settings=BAD)
    return made


def create_none(name):
    return name
"""

BROKEN = """
import os

DATABASE = os.environ["SHOP_DATABASE_THAT_NOBODY_SET"]
"""


@pytest.fixture
def shop(tmp_path, monkeypatch, request):
    """The name of a package in the current directory, another for each test: modules stay imported."""
    name = f"shop_{abs(hash(request.node.name))}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "mesh.py").write_text(SHOP)
    (tmp_path / name / "app.py").write_text(APP.format(package=name))
    (tmp_path / name / "broken.py").write_text(BROKEN)
    (tmp_path / name / "typo.py").write_text("MESHWARE = {")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield name
    uninstrument()
    for mesh in tuple(meshware.mesh._alive):
        mesh.close()


def check(*arguments):
    return CliRunner().invoke(main, ["check", *arguments])


def told(*arguments):
    """Exit code and what `--json` says."""
    ran = check(*arguments, "--json")
    return ran.exit_code, json.loads(ran.stdout)


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


# What is in force, and who said so

FILE = """
service = "shop"
defaults = {timeout = 3.0, RETRY = {attempts = 3}}

[services."Inventory."]
endpoints = ["10.0.0.1:80", "10.0.0.2:80"]
strategy = {peak_ewma = {tau = 5}}
retry = {cap = 0.3}
"""


@pytest.fixture
def file(shop):
    Path("mesh.toml").write_text(FILE)
    return "mesh.toml"


def test_each_value_is_there_with_its_origin(file, monkeypatch):
    monkeypatch.setenv("MESHWARE__SERVICES__INVENTORY__CONNECT_TIMEOUT", "0.5")
    monkeypatch.setenv("MESHWARE__DEFAULTS__GUARD", "0.6")
    code, said = told(file)
    assert code == 0
    values = said["values"]
    for path, expected in {
        "service": ("shop", "set", "mesh.toml"),
        "request_timeout": (None, "default", None),
        "services.inventory.timeout": (3.0, "defaults", "mesh.toml"),
        "services.inventory.retry.attempts": (3, "defaults", "mesh.toml"),
        "services.inventory.retry.cap": (0.3, "set", "mesh.toml"),
        "services.inventory.retry.budget.ratio": (0.2, "default", None),
        "services.inventory.strategy": ({"name": "peak_ewma", "options": {"tau": 5}}, "set", "mesh.toml"),
        "services.inventory.tls": (None, "default", None),
        "services.inventory.guard": (0.6, "defaults", "MESHWARE__DEFAULTS__GUARD"),
        "services.inventory.connect_timeout": (0.5, "set", "MESHWARE__SERVICES__INVENTORY__CONNECT_TIMEOUT"),
    }.items():
        assert values[path] == dict(zip(("value", "source", "where"), expected, strict=True)), path


def test_the_values_are_all_of_the_services_settings(file):
    _, said = told(file)

    def leaves(section, path):
        for key, value in section.items():
            if isinstance(value, dict) and key != "strategy":
                yield from leaves(value, f"{path}.{key}")
            else:
                yield f"{path}.{key}"

    expected = set(leaves(said["services"]["inventory"], "services.inventory"))
    assert set(said["values"]) == expected | {"service", "request_timeout", "trusted_peers"}


def test_a_yaml_file_gives_its_lines(shop):
    pytest.importorskip("yaml")
    Path("mesh.yaml").write_text("services:\n  shop:\n    endpoints:\n      - a:1\n    timeout: 2\n")
    _, said = told("mesh.yaml")
    assert said["values"]["services.shop.endpoints"]["where"] == "mesh.yaml:3"
    assert said["values"]["services.shop.timeout"]["where"] == "mesh.yaml:5"


def test_a_module_and_an_app_are_named_as_they_were_given(shop):
    for path in ("mesh", "app:app"):
        _, said = told(f"{shop}.{path}")
        assert said["values"]["services.inventory.timeout"] == {
            "value": 2.5,
            "source": "set",
            "where": f"{shop}.{path}",
        }


def test_the_table_shows_what_somebody_set_and_all_of_it_when_asked(file):
    short, long = check(file).stdout, check(file, "--all").stdout
    rows = [line.split() for line in short.splitlines()]
    assert ["inventory", "strategy", "peak_ewma", '{"tau":', "5}", "mesh.toml"] in rows
    assert ["timeout", "3.0", "defaults,", "mesh.toml"] in rows
    assert ["endpoints", "10.0.0.1:80,", "10.0.0.2:80", "mesh.toml"] in rows
    assert "slow_start" not in short
    assert ["slow_start", "10.0", "default"] in [line.split() for line in long.splitlines()]


def test_nothing_set_is_no_table(shop):
    Path("empty.toml").write_text("")
    assert check("empty.toml").stdout.split()[-4:] == ["0", "service(s),", "no", "problem"]
    assert "set in" not in check("empty.toml").stdout


def test_a_long_value_is_cut(file, monkeypatch):
    monkeypatch.setenv("MESHWARE__SERVICE", "x" * 100)
    assert "x" * 61 not in "".join(check(file).stdout.split())


def test_a_default_of_a_dict_has_no_place_but_its_section():
    (value,) = [each for each in explain(load(SPREAD), Source(SPREAD)) if each.path == "services.a.timeout"]
    assert (value.source, value.where, _origin(value)) == ("defaults", None, "defaults")


def test_a_wrong_variable_is_a_problem_with_its_name(file, monkeypatch):
    monkeypatch.setenv("MESHWARE__SERVICES__INVENTORY__TIMOUT", "1")
    code, said = told(file)
    (problem,) = said["problems"]
    assert (code, problem["nearest"]) == (1, "timeout")
    assert problem["where"] == "MESHWARE__SERVICES__INVENTORY__TIMOUT"


def test_without_a_source_the_environment_says_where(file, monkeypatch):
    monkeypatch.setenv("MESHWARE_SETTINGS", file)
    code, said = told()
    assert (code, list(said["services"])) == (0, ["inventory"])


def test_the_environment_may_be_all_that_there_is(shop, monkeypatch):
    monkeypatch.setenv("MESHWARE__SERVICES__PRICING__ENDPOINTS", "10.0.0.1:80")
    code, said = told()
    assert (code, list(said["services"])) == (0, ["pricing"])


def test_without_any_source_the_usage_is_wrong(shop):
    ran = check()
    assert ran.exit_code == 2
    assert "MESHWARE_SETTINGS" in ran.stderr


def test_the_docs_show_what_it_shows(shop):
    pytest.importorskip("yaml")
    page = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()
    Path("mesh.yaml").write_text(re.search(r"```yaml\n(.*?)```", page, re.DOTALL)[1])
    command, *shown = re.search(r"```console\n\$ (.*?)```", page, re.DOTALL)[1].splitlines()
    variable, *words = shlex.split(command)
    assert words[:2] == ["meshware", "check"]
    ran = CliRunner().invoke(main, words[1:], env=dict([variable.split("=")]) | {"COLUMNS": "100"})
    assert [line.rstrip() for line in ran.stdout.splitlines()] == shown


# As a process


def test_the_command_finds_modules_in_the_directory_it_is_called_in(shop):
    command = Path(sys.executable).with_name("meshware")
    right = subprocess.run([command, "check", f"{shop}.mesh"], capture_output=True, text=True, timeout=60)
    wrong = subprocess.run([command, "check", f"{shop}.mesh:BAD"], capture_output=True, text=True, timeout=60)
    assert (right.returncode, wrong.returncode) == (0, 1)
    assert "2 service(s), no problem" in right.stdout
    assert "4 problem(s)" in wrong.stderr
