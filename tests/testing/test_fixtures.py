"""The fixtures, as a user's tests have them: a pytest of its own runs the page's."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from meshware.mesh import default_mesh
from meshware.testing.fixtures import faulty_upstream, faulty_upstreams, mesh

__all__ = ["faulty_upstream", "faulty_upstreams", "mesh"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "testing.md"


def test_they_make_a_mesh_and_servers(mesh, faulty_upstream, faulty_upstreams):
    made = mesh({"inventory": [faulty_upstream, "10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 2}]}, timeout=1.5)
    assert default_mesh() is made
    assert [each.address for each in made.services["inventory"].endpoints][1:] == ["10.0.0.1:80", "10.0.0.2:80"]
    assert made.services["inventory"].timeout == 1.5
    assert len({each.port for each in faulty_upstreams(2)} | {faulty_upstream.port}) == 3


def test_they_are_gone_before_the_next():
    assert default_mesh() is None


def ran(directory, *options):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options, "."]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=120)


def test_the_tests_of_the_page_pass(tmp_path):
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (tests,) = [block for block in blocks if "def test_the_page" in block]
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["meshware.testing.fixtures"]\n')
    (tmp_path / "test_page.py").write_text(tests)
    done = ran(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_nobody_has_them_who_did_not_ask(tmp_path):
    (tmp_path / "test_nothing.py").write_text(
        "def test_nothing():\n    import sys\n    assert not [name for name in sys.modules if 'meshware' in name]\n"
    )
    done = ran(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
