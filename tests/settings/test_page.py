"""docs/settings.md: its files say the same as its dict, and its variables are understood."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from meshware.files import limits
from meshware.settings.load import load
from meshware.settings.schema import MeshSettings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "settings.md").read_text()


def block(language):
    """The first block in a language."""
    return re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture
def settings():
    """The page's own dict, loaded."""
    names = {}
    exec(block("python"), names)
    return names["MESHWARE"]


@pytest.mark.parametrize("language", ["toml", "yaml"])
def test_its_files_say_what_its_dict_says(settings, language, tmp_path):
    if language == "yaml":
        pytest.importorskip("yaml")
    path = tmp_path / f"mesh.{language}"
    path.write_text(block(language))
    assert load(path) == load(settings)


def test_its_variables_set_what_they_say(settings):
    environ = dict(word.split("=", 1) for word in shlex.split(block("sh")))
    loaded = load(settings, environ=environ)
    inventory, billing = loaded.services["inventory"], loaded.services["billing:8443"]
    assert [each.address for each in inventory.endpoints] == ["10.1.0.1:8000", "10.1.0.2:8000"]
    assert (inventory.timeout, inventory.retry.budget.ratio, inventory.retry.attempts) == (1.5, 0.05, 3)
    assert billing.strategy.name == "round_robin"


def test_trusted_peers_are_said_to_do_what_they_do():
    described = MeshSettings.model_fields["trusted_peers"].description
    assert "`RequestContext.attempt`" in PAGE
    assert "`RequestContext.attempt`" in described


def test_its_limits_are_the_limits():
    assert f"{limits.SIZE // 1024} KiB" in PAGE
    assert f"{limits.NODES:,} values" in PAGE
    assert f"{limits.DEPTH} levels" in PAGE
