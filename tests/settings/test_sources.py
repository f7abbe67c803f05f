"""Modules and Flask configs as sources."""

from __future__ import annotations

import pytest
from settings.refusing import refusal

from meshware.core.errors import SettingsError
from meshware.settings.load import load
from meshware.settings.sources import from_flask, imported

SERVICES = {"services": {"shop": {"endpoints": ["a:1"]}}}


def test_a_module_has_its_settings_under_MESHWARE(module):  # noqa: N802
    module("shop_mesh", f"MESHWARE = {SERVICES!r}")
    assert "shop" in load("shop_mesh").services


def test_another_name_comes_after_a_colon(module):
    module("shop_mesh", f"OTHER = {SERVICES!r}")
    assert "shop" in load("shop_mesh:OTHER").services


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("", "a module with a dict named MESHWARE"),
        ("MESHWARE = 5", "a module with a dict named MESHWARE"),
        ("import no_such_module", "no_such_module"),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
    ],
)
def test_a_module_that_has_none_or_fails_is_refused_with_the_reason(module, source, said):
    module("shop_mesh", source)
    (problem,) = refusal("shop_mesh")
    assert (problem.path, problem.value) == ("", "shop_mesh")
    assert said in problem.expected


def test_a_module_that_wants_to_exit_may(module):
    module("shop_mesh", "raise SystemExit(3)")
    with pytest.raises(SystemExit):
        load("shop_mesh")


def test_a_flask_config_has_one_dict():
    assert from_flask({"MESHWARE": SERVICES}) == SERVICES


@pytest.mark.parametrize("config", [{}, {"MESHWARE": None}, {"meshware": SERVICES}, {"MESHWARE": [1]}])
def test_a_flask_config_without_it_is_refused(config):
    with pytest.raises(SettingsError, match="MESHWARE"):
        from_flask(config)


def test_a_flask_app_is_a_source(module):
    module("shop_app", f"class App:\n    config = {{'MESHWARE': {SERVICES!r}}}\napp = App()")
    assert "shop" in load("shop_app:app").services


def test_what_a_module_does_not_have_is_none():
    assert imported("os:no_such_name") is None
