"""`meshware check` on what is in force: each value, who said so, and where."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from cli.checking import check, told
from click.testing import CliRunner

from meshware.cli import main
from meshware.cli.check import _origin
from meshware.settings.explain import explain
from meshware.settings.load import load
from meshware.settings.origin import Source
from meshware.settings.sections.inbound import InboundSettings

SPREAD = {"defaults": {"timeout": 3.0}, "services": {"a": {"endpoints": ["b:1"]}}}

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


def test_lists_of_plugins_are_shown_by_their_names(shop):
    Path("mesh.toml").write_text(
        """
        [services.a.discovery]
        file = {path = "a.json"}
        [services.b]
        discovery = ["fil"]
        """
    )
    assert "did you mean 'file'" in check("mesh.toml").stderr
    Path("mesh.toml").write_text(
        """
        [services.a]
        discovery = [{file = {path = "a.json"}}, {callable = {function = "os:listdir", every = 5}}]
        """
    )
    words = " ".join(check("mesh.toml").stdout.split())
    assert "a file, callable adaptive" in words
    assert 'discovery file {"path": "a.json"}, callable' in words


MESHS_OWN = {
    "service", "environment", "locality", "request_timeout", "trusted_peers", "observers", "follow", "board.enabled",
    "board.directory", "explain.keep", "fault_headers", "load_reports", "slots", "routes", "shifts",
}  # fmt: skip


def test_the_values_are_all_of_the_services_settings(file):
    _, said = told(file)

    def leaves(section, path):
        for key, value in section.items():
            if isinstance(value, dict) and value and key != "strategy":
                yield from leaves(value, f"{path}.{key}")
            else:
                yield f"{path}.{key}"

    expected = set(leaves(said["services"]["inventory"], "services.inventory"))
    inbound = set(leaves(InboundSettings().model_dump(), "inbound"))
    assert set(said["values"]) == expected | inbound | MESHS_OWN


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
