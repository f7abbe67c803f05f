"""Files that are hostile, broken or cut short: each is one clear error, within a second and 50 MiB."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise

import pytest
from settings.refusing import refusal

from meshware.files import limits

needs_yaml = pytest.mark.skipif(find_spec("yaml") is None, reason="needs the extra yaml")

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in pairwise("abcdefghi")
)

BAD = {
    "bomb.yaml": (BOMB, "bomb.yaml:6: f[0]: ", limits.TOO_MANY),
    "self.yaml": ("services: &s\n  shop: *s\n", "self.yaml:2: services.shop: ", "an alias for something else"),
    "call.yaml": ("a:\n  b: !!python/object/apply:os.system [ls]\n", "call.yaml:2: a.b: ", "no tag"),
    "name.yaml": ("service: !!python/name:os.system\n", "name.yaml:1: service: ", "no tag"),
    "date.yaml": ("service: !!timestamp 2001-99-99\n", "date.yaml:1: service: ", "no tag"),
    "deep.yaml": ("a: " + "[" * 5000, "deep.yaml:1: a", limits.TOO_DEEP),
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


def test_bad_input_takes_two_seconds_and_50_mib_at_most(written):
    names = [written(name, BAD[name][0]) for name in readable()]
    ran = subprocess.run([sys.executable, "-c", PROGRAM, *names], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [name for name, _, _ in told] == names
    assert [name for name, said, _ in told if "1 problem(s)" not in said] == []
    assert [(name, seconds) for name, _, seconds in told if seconds > 2.0] == []


@pytest.mark.untraced
@needs_yaml
@pytest.mark.parametrize("name", [name for name in BAD if name.endswith("yaml")])
def test_the_parser_in_python_refuses_the_same(written, monkeypatch, name):
    monkeypatch.delattr("yaml.CSafeLoader", raising=False)
    (problem,) = refusal(written(name, BAD[name][0]))
    assert BAD[name][1].split(":")[0] in str(problem)
