"""`meshware explain`: where a call would go under some settings, for people and for programs."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from meshware.cli import main

SETTINGS = """
[services.inventory]
endpoints = ["10.0.0.1:80", "10.0.0.2:80", {address = "10.0.0.3:80", weight = 0}]
strategy = "least_request"
timeout = 3.0

[services.inventory-v2]
endpoints = ["10.0.0.9:80"]

[services.found]
discovery = {file = {path = "endpoints.toml"}}

[[routes]]
name = "beta"
match = {service = "inventory", headers = {x-beta = "1"}}
timeout = 1.0

[[routes]]
name = "canary"
match = {service = "inventory", path = {prefix = "/items"}}
split = {inventory-v2 = 10, inventory = 90}
sticky = {attribute = "user"}

[[routes]]
name = "closed"
match = {service = "inventory", path = "/admin"}
respond = {status = 403}
"""


@pytest.fixture
def explained(tmp_path, monkeypatch):
    """`explained("GET", ...)`: the exit code, and what was said in one line, or as JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MESHWARE_SETTINGS", raising=False)
    (tmp_path / "mesh.toml").write_text(SETTINGS)

    def run(*arguments, settings="mesh.toml"):
        ran = CliRunner().invoke(main, ["explain", *arguments, "--settings", settings])
        if "--json" in arguments:
            return ran.exit_code, json.loads(ran.stdout)
        return ran.exit_code, " ".join(ran.output.split())

    return run


def test_it_says_which_route_it_is_and_why_it_is_no_other(explained):
    code, said = explained("get", "http://inventory/items?a=1", "-H", "X-Beta: 2", "--context", "user=42")
    assert code == 0
    assert "GET inventory/items?a=1" in said
    assert "no beta (of inventory): header x-beta is '2', wanted exact: 1" in said
    assert "yes canary (of inventory)" in said
    assert "split inventory-v2 10 %, inventory 90 %: at 0.7064 by '42', so inventory" in said


def test_it_says_whose_score_is_what_and_which_deadline_counts(explained):
    code, said = explained("GET", "http://inventory/items", "-H", "x-beta: 1", "--deadline", "0.5", "--timeout", "2")
    assert code == 0
    assert re.search(r"deadline 0\.[45]\d* s by inbound \(beside route 1, client 2\)", said)
    assert "candidate score in_flight weight bias" in said
    assert "10.0.0.1:80 0 0 1 1" in said
    assert "10.0.0.3:80: weight 0" in said
    assert re.search(r"connect 0\.[45]\d* s by attempt \(beside connect_timeout 1\.5\)", said)
    assert "no hedge" in said


def test_an_answer_of_the_routes_own_is_none_of_an_endpoint(explained):
    code, said = explained("GET", "http://inventory/admin")
    assert (code, "answered by the route with 403" in said) == (0, True)


def test_a_program_gets_all_of_it(explained):
    code, told = explained("GET", "http://inventory/items", "--json", "--context", "user=42", "--identity", "shop")
    assert (code, told["ok"], told["service"], told["split"]["key"]) == (0, True, "inventory", "42")
    (pick,) = told["attempts"][0]["picks"]
    assert {each["address"] for each in pick["candidates"]} == {"10.0.0.1:80", "10.0.0.2:80"}
    assert pick["endpoint"] == told["attempts"][0]["endpoint"]


def test_what_would_be_refused_is_told_by_the_exit_code_too(explained):
    code, said = explained("GET", "http://found/")
    assert (code, "refused: NoEndpoint" in said) == (1, True)
    code, told = explained("GET", "http://found/", "--json")
    assert (code, told["ok"], told["attempts"]) == (1, False, [])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["GET", "http://inventry/"], "http://inventry/ goes by no service of this mesh: inventory, inventory-v2"),
        (["GET", "http://inventory/", "-H", "x-beta"], "a name, ':' and a value, not 'x-beta'"),
        (["GET", "http://inventory/", "--context", "=1"], "a name, '=' and a value, not ''"),
        (["GET", "http://inventory:port/"], "Port could not be cast"),
    ],
)
def test_what_cannot_be_meant_is_a_wrong_usage(explained, arguments, complaint):
    code, said = explained(*arguments)
    assert code == 2
    assert complaint in said


def test_wrong_settings_are_said_as_check_says_them(explained, tmp_path):
    (tmp_path / "wrong.toml").write_text("[services.inventory]\nendpoints = []\n")
    code, said = explained("GET", "http://inventory/", settings="wrong.toml")
    assert (code, "services.inventory.endpoints" in said) == (1, True)
    code, told = explained("GET", "http://inventory/", "--json", settings="wrong.toml")
    assert (code, told["ok"], told["problems"][0]["path"]) == (1, False, "services.inventory.endpoints")


def test_a_strategy_that_cannot_be_foretold_is_told_as_one(explained, tmp_path):
    subset = SETTINGS.replace('"least_request"', "{subset = {size = 1}}")
    (tmp_path / "subset.toml").write_text(subset)
    code, said = explained("GET", "http://inventory/", settings="subset.toml")
    assert code == 0
    assert "an endpoint that cannot be foretold, by strategy" in said
    assert "the first call will draw which endpoints are in the subset" in said
