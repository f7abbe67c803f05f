"""The README does what it says: its commands, and its quick start as written."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from inbound.upstream import Upstream

from meshware.cli import main

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
PORTS = (8001, 8002)
"""The ports of the example's endpoints."""


def block(marker):
    """The fenced block right under a comment, as (language, lines)."""
    found = re.search(rf"<!-- {re.escape(marker)} -->\n```(\w+)\n(.*?)```", README, re.DOTALL)
    assert found, f"no block under {marker!r}"
    return found[1], found[2].splitlines()


def meshware_lines():
    """Every `meshware ...` line of every console block, as words; comments left off."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line, comments=True) for text in blocks for line in text.splitlines()]
    return [words for words in lines if words[:1] == ["meshware"]]


def example(ports=PORTS):
    """The quick start; other ports stand in where those of the README are taken on this machine."""
    code = "\n".join(block("example: flask")[1]) + "\n"
    for written, free in zip(PORTS, ports, strict=True):
        assert code.count(f":{written}") == 1
        code = code.replace(f":{written}", f":{free}")
    return code


def run(folder, *command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def items():
    """Two servers with the items, on the README's ports if they are free."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(item_server(port))) for port in PORTS]


def item_server(port):
    try:
        return Upstream("items", port=port, body=["apple", "pear"])
    except OSError:
        return Upstream("items", body=["apple", "pear"])


def test_the_two_commands_at_the_top_are_one_line_each_and_come_first():
    for marker in ("run the demo", "run the tests"):
        language, lines = block(marker)
        assert language == "console"
        assert len(lines) == 1
        assert lines[0].startswith("python3.11 -m venv .venv && .venv/bin/pip install -q -e ")
    first, second, *_ = re.findall(r"```(\w+)", README)
    assert first == second == "console"


def test_ci_runs_the_readmes_test_command():
    script = (ROOT / ".ci" / "run").read_text()
    assert "<!-- run the tests -->" in script
    after = README.split("<!-- run the tests -->")[1]
    assert next(line for line in after.splitlines() if line.startswith("python")) == block("run the tests")[1][0]


def test_the_extras_that_the_commands_install_are_there():
    extras = set(re.findall(r'-e "\.\[(\w+)\]"', README))
    declared = (ROOT / "pyproject.toml").read_text().split("[project.optional-dependencies]")[1]
    assert extras == {"demo", "dev"}
    assert all(re.search(rf"^{extra} = \[", declared, re.MULTILINE) for extra in extras)


def test_the_quick_start_works_as_written_also_when_a_server_dies(tmp_path, items):
    (tmp_path / "shop.py").write_text(example([each.address.partition(":")[2] for each in items]))
    program = """
import sys, shop
client = shop.app.test_client()
print(*(client.get("/").json for _ in range(20)), sep="\\n", flush=True)
sys.stdin.readline()
print(*(client.get("/").json for _ in range(20)), sep="\\n", flush=True)
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        before = [process.stdout.readline() for _ in range(20)]
        assert all(each.seen for each in items), "both servers take part"
        items[0].die()
        after, _ = process.communicate("\n", timeout=60)
    assert before == ["['apple', 'pear']\n"] * 20
    assert after.splitlines() == ["['apple', 'pear']"] * 20


def test_the_quick_start_adds_at_most_ten_lines_to_a_flask_app_that_runs_without_them(tmp_path):
    code = example()
    added, kept = [], []
    for statement in ast.parse(code).body:
        source = ast.get_source_segment(code, statement)
        (added if "meshware" in source.lower() else kept).append(statement)
    assert 0 < sum(each.end_lineno - each.lineno + 1 for each in added) <= 10
    (tmp_path / "shop.py").write_text("\n".join(ast.unparse(each) for each in kept))
    ran = run(tmp_path, sys.executable, "-c", "import shop; print(shop.app.url_map)")
    assert "items" in ran.stdout, ran.stderr


ISTIO = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: inventory}
spec:
  hosts: [inventory]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1}]
"""


@pytest.mark.parametrize("words", meshware_lines(), ids=" ".join)
def test_each_command_of_the_readme_runs(tmp_path, words):
    (tmp_path / "shop").mkdir()
    settings = next(each for each in ast.parse(example()).body if "MESHWARE" in ast.unparse(each))
    (tmp_path / "shop" / "mesh.py").write_text(f"MESHWARE = {ast.unparse(settings.value)}\n")
    (tmp_path / "mesh.yaml").write_text(ISTIO)
    if words[1] in ("demo", "shift"):
        words = [*words, "--help"]  # the demo itself takes minutes, shifts need workers: tests/cli
    if words[1] == "run":
        words = [*words[: words.index("--")], sys.executable, "--version"]  # servers run in tests/cli/test_run.py
    ran = run(tmp_path, Path(sys.executable).with_name("meshware"), *words[1:])
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_the_commands_that_there_are_all_stand_in_the_readme():
    assert {words[1] for words in meshware_lines()} == set(main.list_commands(None))
