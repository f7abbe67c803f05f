"""TOML and YAML files as sources. What is wrong with their text itself: test_bad_input.py."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from settings.refusing import refusal

from meshware.core.errors import SettingsError
from meshware.mesh import Mesh
from meshware.settings.load import load

needs_yaml = pytest.mark.skipif(find_spec("yaml") is None, reason="needs the extra yaml")

TOML = """
service = "shop"

[defaults]
timeout = 3.0

[services.inventory]
endpoints = ["10.0.0.1:8000", {address = "10.0.0.2:8000", weight = 2}]
retry = {attempts = 3}
"""

YAML = """
service: shop

defaults:
  timeout: 3.0

services:
  inventory:
    endpoints:
      - 10.0.0.1:8000
      - {address: 10.0.0.2:8000, weight: 2}
    retry: {attempts: 3}
"""

SAME = {
    "service": "shop",
    "defaults": {"timeout": 3.0},
    "services": {
        "inventory": {
            "endpoints": ["10.0.0.1:8000", {"address": "10.0.0.2:8000", "weight": 2}],
            "retry": {"attempts": 3},
        }
    },
}


# Right


def test_a_toml_file_says_the_same_as_a_dict(written):
    assert load(written("mesh.toml", TOML)) == load(SAME)


@needs_yaml
@pytest.mark.parametrize("name", ["mesh.yaml", "mesh.yml", "MESH.YAML"])
def test_a_yaml_file_says_the_same_as_a_dict(written, name):
    assert load(written(name, YAML)) == load(SAME)


def test_a_path_object_is_a_file_too(written):
    assert load(Path(written("mesh.toml", TOML))) == load(SAME)


def test_a_name_after_a_colon_makes_it_a_module(module):
    module("toml", f"MESHWARE = {SAME!r}")  # a module that is named like a suffix
    assert load("toml:MESHWARE") == load(SAME)


# Wrong settings in a file


def test_problems_of_a_toml_file_name_the_file(written):
    found = refusal(written("mesh.toml", TOML.replace("timeout", "timout").replace("weight = 2", "weight = -2")))
    assert {(each.where, each.path, each.nearest) for each in found} == {
        ("mesh.toml", "defaults.timout", "timeout"),
        ("mesh.toml", "services.inventory.endpoints[1].weight", None),
    }


@needs_yaml
def test_problems_of_a_yaml_file_name_the_line(written):
    wrong = YAML.replace("timeout", "Timout").replace("weight: 2", "weight: -2").replace("retry", "RETRY")
    found = refusal(written("mesh.yaml", wrong.replace("attempts: 3", "attempts: x")))
    assert {(each.where, each.path, each.nearest) for each in found} == {
        ("mesh.yaml:5", "defaults.timout", "timeout"),
        ("mesh.yaml:11", "services.inventory.endpoints[1].weight", None),
        ("mesh.yaml:12", "services.inventory.retry.attempts", None),
    }
    assert "mesh.yaml:5: defaults.timout: 3.0: unknown key" in str(SettingsError(found))


@needs_yaml
def test_what_is_missing_is_missing_at_the_line_of_its_section(written):
    (problem,) = refusal(written("mesh.yaml", "services:\n\n  inventory.:\n    timeout: 1\n"))
    assert (problem.where, problem.path) == ("mesh.yaml:3", "services.inventory.endpoints")


@needs_yaml
@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "text\n", "---\n...\n"])
def test_a_file_without_a_section_at_the_top_is_refused(written, text):
    (problem,) = refusal(written("mesh.yaml", text))
    assert (problem.where, problem.path) == ("mesh.yaml", "")
    assert problem.expected.startswith("a dict of settings")


def test_a_mesh_keeps_its_settings_when_those_of_its_file_became_wrong(written):
    mesh = Mesh.from_settings(written("mesh.toml", TOML))
    before = mesh.settings
    written("mesh.toml", TOML.replace("3.0", "'soon'"))
    with pytest.raises(SettingsError, match=r"mesh\.toml: defaults\.timeout: 'soon'"):
        mesh.reload("mesh.toml")
    assert mesh.settings is before
    written("mesh.toml", TOML.replace("3.0", "4.0"))
    mesh.reload("mesh.toml")
    assert mesh.services["inventory"].timeout == 4.0
    mesh.close()


# No file


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.toml", "No such file"),
        ("folder.toml", "a file, but that is none"),
        ("a\0b.toml", "null"),
        ("x" * 5000 + ".toml", "name too long"),
    ],
)
def test_what_cannot_be_read_says_why(written, name, said):
    Path("folder.toml").mkdir()
    (problem,) = refusal(name)
    assert (problem.path, problem.value) == ("", name)
    assert said in problem.expected


@pytest.mark.parametrize("name", [Path("mesh.ini"), Path("mesh"), "./mesh", "conf/mesh.py:MESHWARE"])
def test_a_file_of_another_kind_is_refused_by_its_name(name):
    (problem,) = refusal(name)
    assert problem.expected == "a file whose name ends in .toml, .yaml, .yml"


def test_a_path_of_bytes_is_refused():
    class Odd:
        def __fspath__(self):
            return b"mesh.toml"

    assert refusal(Odd())[0].value == b"mesh.toml"


def test_a_pipe_is_not_waited_for(written):
    os.mkfifo("pipe.toml")
    assert "a file" in refusal("pipe.toml")[0].expected


def test_yaml_without_pyyaml_names_the_extra(written, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    (problem,) = refusal(written("mesh.yaml", YAML))
    assert 'pip install "meshware[yaml]"' in problem.expected
    assert problem.value == "mesh.yaml"
