"""TOML and YAML files: what is right is read, and each kind of wrong is one clear error, soon and in little memory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from settings.refusing import refusal

from meshware.core.errors import SettingsError
from meshware.mesh import Mesh
from meshware.settings import limits
from meshware.settings.load import load
from meshware.settings.yaml_text import NotYaml, read_yaml

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


@pytest.fixture
def written(tmp_path, monkeypatch):
    """`written("mesh.toml", text)`: that file in the current directory."""
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return name

    return write


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


# Bad input, each in a process of its own that may take 1 s and 50 MiB more than it has

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")
)

BAD = {
    "bomb.yaml": (BOMB, "bomb.yaml:6: f[0]: ", limits.TOO_MANY),
    "self.yaml": ("services: &s\n  shop: *s\n", "self.yaml:2: services.shop: ", "an alias for something else"),
    "call.yaml": ("a:\n  b: !!python/object/apply:os.system [ls]\n", "call.yaml:2: a.b: ", "no tag"),
    "name.yaml": ("service: !!python/name:os.system\n", "name.yaml:1: service: ", "no tag"),
    "date.yaml": ("service: !!timestamp 2001-99-99\n", "date.yaml:1: service: ", "no tag"),
    "deep.yaml": ("a: " + "[" * 5000, "deep.yaml:1: a[0]", limits.TOO_DEEP),
    "blocks.yaml": ("".join(" " * n + "a:\n" for n in range(500)), "blocks.yaml:33: a.a", limits.TOO_DEEP),
    "dashes.yaml": ("- " * 5000, "dashes.yaml:1: [0]", limits.TOO_DEEP),
    "many.yaml": ("a: [" + "1," * 200_000 + "]", "many.yaml:1: a[", limits.TOO_MANY),
    "merged.yaml": (
        "a: &a {" + ",".join(f"k{n}: 1" for n in range(500)) + "}\nb:\n  <<: [" + "*a," * 200 + "]\n",
        "merged.yaml:3: b.<<[",
        limits.TOO_MANY,
    ),
    "chain.yaml": (
        "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(40)),
        "'chain.yaml': ",
        limits.TOO_DEEP,
    ),
    "bom.yaml": ("\ufeffa: 1", "bom.yaml:1: ", "UTF-8 without a byte order mark"),
    "wide.yaml": ("a: 1".encode("utf-16"), "wide.yaml:1: ", "UTF-8, not UTF-16"),
    "wider.toml": ("a = 1".encode("utf-32"), "wider.toml:1: ", "UTF-8, not UTF-32"),
    "latin.yaml": (b"a: 1\nb: caf\xe9", "latin.yaml:2: (settings): b'\\xe9'", "UTF-8"),
    "half.yaml": ("services:\n  shop:\n    endpoints: [a:1,", "half.yaml:3: services.shop.endpoints[0]: ", "YAML"),
    "nul.yaml": ("a: \0", "'nul.yaml': ", "control characters"),
    "digits.yaml": ("a: !!int " + "1:" * 200_000 + "1", "digits.yaml:1: a: ", "at most 64 characters"),
    "deep.toml": ("a = " + "[" * 5000 + "]" * 5000, "'deep.toml': ", limits.TOO_DEEP),
    "tables.toml": ("a = " + "{a = " * 5000, "'tables.toml': ", limits.TOO_DEEP),
    "dots.toml": ("x = 1\n" + "a." * 200_000 + "a = 1", "dots.toml:2: ", limits.TOO_DEEP),
    "quoted.toml": ("[" + "'a' . " * 80_000 + "a]", "quoted.toml:1: ", limits.TOO_DEEP),
    "layers.toml": (f"[{'a.' * 25}a]\nb = " + "[" * 10 + "]" * 10, "'layers.toml': ", limits.TOO_DEEP),
    "many.toml": ("a = [" + "[]," * 170_000 + "]", "'many.toml': ", limits.TOO_MANY),
    "bom.toml": ("\ufeffa = 1", "bom.toml:1: ", "UTF-8 without a byte order mark"),
    "latin.toml": (b"\na = 'caf\xe9'", "latin.toml:2: ", "UTF-8"),
    "half.toml": ("[services.shop]\nendpoints = ['a:1',", "half.toml:2: (settings): \"endpoints = ['a:1',\"", "TOML"),
    "wrong.toml": ("a = 1\na 2\n\n", "wrong.toml:2: (settings): 'a 2': TOML: ", "(column 3)"),
    "digits.toml": ("a = " + "1" * 500_000, "digits.toml:1: ", "at most 1000 digits"),
    "float.toml": ("\na = 1." + "1" * 500_000, "float.toml:2: ", "at most 1000 digits"),
    "hex.toml": ("a = 0x" + "a" * 500_000, "hex.toml:1: ", "at most 1000 digits"),
    "int.toml": ("a = " + "1" * 800, "int.toml: a: 111", "unknown key"),
    "large.toml": ("#" * (limits.SIZE + 1), "'large.toml': ", "a file of at most 524,288 bytes"),
}  # name -> content, how the message begins, and what it says

PROGRAM = """
import json, resource, sys, time, tomllib
from pathlib import Path
from meshware.settings.load import SettingsError, load
try:
    import yaml
except ModuleNotFoundError:
    pass

if sys.platform == "linux":
    most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 50 * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
for name in sys.argv[1:]:
    began = time.process_time()
    try:
        said = repr(load(name))
    except SettingsError as error:
        said = str(error)
    except MemoryError:
        said = "out of memory"
    print(json.dumps([name, said, time.process_time() - began]))
"""


def readable():
    """The bad files that this installation has a parser for."""
    return [name for name in BAD if find_spec("yaml") is not None or not name.endswith("yaml")]


def test_the_bomb_is_the_one_of_306_bytes():
    assert len(BOMB) == 306


@pytest.mark.parametrize("name", readable())
def test_bad_input_is_one_clear_error(written, name):
    content, begins, says = BAD[name]
    (problem,) = refusal(written(name, content))
    assert begins in str(problem)
    assert says in problem.expected
    assert len(str(problem)) < 1000


def test_bad_input_takes_a_second_and_50_mib_at_most(written):
    names = [written(name, BAD[name][0]) for name in readable()]
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [name for name, _, _ in told] == names
    assert [name for name, said, _ in told if "1 problem(s)" not in said] == []
    assert [(name, seconds) for name, _, seconds in told if seconds > 1.0] == []


@needs_yaml
@pytest.mark.parametrize("name", [name for name in BAD if name.endswith("yaml")])
def test_the_parser_in_python_refuses_the_same(written, monkeypatch, name):
    monkeypatch.delattr("yaml.CSafeLoader", raising=False)
    (problem,) = refusal(written(name, BAD[name][0]))
    assert BAD[name][1].split(":")[0] in str(problem)


# What YAML may say


@needs_yaml
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 1.5\nc: true\nd: ~\ne: 'x'\nf: 2001-01-01\ng: =\n", {"f": "2001-01-01", "g": "=", "c": True}),
        ("a: &x {b: 1}\nc: *x\n", {"a": {"b": 1}, "c": {"b": 1}}),
        ("a: &x {b: 1, c: 1}\nd:\n  <<: *x\n  c: 2\n", {"d": {"b": 1, "c": 2}}),
        ("a: &x {b: 1}\nc: &y {b: 2, e: 2}\nd: {<<: [*x, *y]}\n", {"d": {"b": 1, "e": 2}}),
        ("a: !!str 5\nb: !!int '5'\nc: !!map {d: 1}\n", {"a": "5", "b": 5, "c": {"d": 1}}),
        ("a: " + "9" * 70, {"a": "9" * 70}),
    ],
)
def test_yaml_says_what_it_says_everywhere(text, expected):
    settings, _ = read_yaml(text)
    assert {key: settings[key] for key in expected} == expected


@needs_yaml
@pytest.mark.parametrize(
    ("text", "says", "location", "line"),
    [
        ("a:\n  b: 1\n  b: 2\n", "each key once", ("a", "b"), 3),
        ("? [a]\n: 1\n", "text as a key", (), 1),
        ("a: *x\n", "an anchor named 'x' before", ("a",), 1),
        ("a: 1\n---\nb: 2\n", "one document", ("a",), 2),
        ("a: !!int x\n", "int, as its tag says", ("a",), 1),
        ("a: !!bool x\n", "bool, as its tag says", ("a",), 1),
        ("a: !!int ''\n", "int, as its tag says", ("a",), 1),
        ("a: !!set {b}\n", "no tag", ("a",), 1),
        ("<<: 5\n", "a section to merge", ("<<",), 1),
        ("a: b: c\n", "YAML: mapping values are not allowed", ("a",), 1),
        ("a: @b\n", "YAML: ", ("a",), 1),
    ],
)
def test_yaml_that_is_wrong_says_what_and_where(text, says, location, line):
    with pytest.raises(NotYaml, match=re.escape(says)) as caught:
        read_yaml(text)
    assert (caught.value.location, caught.value.line) == (location, line)
