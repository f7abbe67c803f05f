"""`meshware import istio`: settings on the standard output or in a file, what is missing on the standard error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from meshware.cli import main

pytest.importorskip("yaml")

RULE = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: shop}
spec:
  hosts: [shop]
  http: [{route: [{destination: {host: shop-v2}}], timeout: 2s}]
"""
CORS = RULE + "    # comments\n" + "---" + RULE.replace("shop", "cart").replace("timeout: 2s", "corsPolicy: {}")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """`run(*arguments)`: in a directory with `rule.yaml` and `cors.yaml`."""
    monkeypatch.chdir(tmp_path)
    Path("rule.yaml").write_text(RULE)
    Path("cors.yaml").write_text(CORS)
    return lambda *arguments, **more: CliRunner().invoke(main, ["import", "istio", *arguments], **more)


def test_what_is_printed_is_what_check_accepts(run):
    done = run("rule.yaml")
    assert (done.exit_code, done.stderr) == (0, "")
    Path("mesh.yaml").write_text(done.stdout)
    checked = CliRunner().invoke(main, ["check", "mesh.yaml", "--json"])
    assert checked.exit_code == 0
    assert json.loads(checked.stdout)["services"]["shop"]["connect_timeout"] == 10.0  # Istio's


def test_what_is_missing_is_told_on_the_standard_error_and_in_the_file_and_by_the_exit_code(run):
    done = run("cors.yaml", "-o", "mesh.yaml")
    assert (done.exit_code, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line == "cors.yaml:15: VirtualService cart: spec.http[0].corsPolicy: browsers ask the server itself"
    assert f"# - {line}\n" in Path("mesh.yaml").read_text()
    assert CliRunner().invoke(main, ["check", "mesh.yaml"]).exit_code == 0


def test_json_has_settings_and_what_is_missing(run):
    said = json.loads(run("cors.yaml", "--json").stdout)
    assert said["ok"] is True
    assert said["settings"]["routes"][0]["split"] == {"shop-v2": 1}
    assert [each["path"] for each in said["left"]] == ["spec.http[0].corsPolicy"]


def test_the_standard_input_is_a_file_too(run):
    assert "shop-v2" in run("-", input=RULE).stdout


def test_several_files_are_read_as_one(run):
    Path("entry.yaml").write_text(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: v2}\nspec:\n  hosts: [shop-v2]\n"
        "  ports: [{number: 80}]\n  endpoints: [{address: 10.0.0.2}]\n"
    )
    assert "10.0.0.2:80" in run("rule.yaml", "entry.yaml").stdout


def test_nothing_is_written_where_something_is_wrong(run):
    Path("bad.yaml").write_text("kind: Service\napiVersion: v1\n---\na: 1\n")
    Path("worse.yaml").write_text("a: [")
    done = run("bad.yaml", "worse.yaml", "none.yaml", "-o", "mesh.yaml")
    assert (done.exit_code, Path("mesh.yaml").exists()) == (1, False)
    for said in ("bad.yaml:1", "bad.yaml:4", "worse.yaml:1", "none.yaml"):
        assert said in done.stderr
    assert json.loads(run("bad.yaml", "--json").stdout)["ok"] is False
