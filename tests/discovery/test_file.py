"""Endpoints from a file: what it may hold, how it is followed, and that nothing it holds breaks what was found."""

from __future__ import annotations

import json
import os
import re

import pytest
from discovery.conftest import Found

from meshware.core.errors import SettingsError
from meshware.discovery.file import File
from meshware.settings.load import load
from meshware.testing import check_discovery

A, B, C = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"


def put(path, text):
    """Another file in its place, by a rename."""
    new = path.with_name("new")
    new.write_text(text if isinstance(text, str) else json.dumps(text))
    os.replace(new, path)
    return path


@pytest.fixture
def path(tmp_path):
    return put(tmp_path / "inventory.json", [A, B])


@pytest.fixture
def followed(path, registered):
    """A service whose endpoints stand in a file, asked for the first time."""
    registered(File, "lines")
    world = Found(discovery={"lines": {"path": str(path)}})
    world.keep_house()
    assert world.addresses == [A, B]
    return world


def found(path, **options):
    return list(File(path=str(path), **options).fetch(0.0).found)


# What it holds


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 2}]'),
        ("a.json", '{"endpoints": ["10.0.0.1:80", {"address": "10.0.0.2:80", "weight": 2}], "by": "me"}'),
        ("a.yaml", "- 10.0.0.1:80\n- {address: 10.0.0.2:80, weight: 2}\n"),
        ("a.yml", "endpoints:\n- 10.0.0.1:80\n- address: 10.0.0.2:80\n  weight: 2\n"),
        ("a.toml", 'endpoints = ["10.0.0.1:80", {address = "10.0.0.2:80", weight = 2}]'),
    ],
)
def test_json_yaml_and_toml_say_the_same(tmp_path, name, text):
    if name.endswith(("yaml", "yml")):
        pytest.importorskip("yaml")
    assert found(put(tmp_path / name, text)) == [A, {"address": B, "weight": 2}]


def test_one_file_may_hold_the_lists_of_several_services(tmp_path):
    path = put(tmp_path / "all.json", {"services": {"inventory": [A], "pricing": [B]}})
    assert found(path, key="services.pricing") == [B]


def test_a_file_whose_name_says_nothing_has_its_format_said(tmp_path):
    assert found(put(tmp_path / "inventory", [A]), format="json") == [A]


def test_built_in_it_keeps_to_what_every_discovery_must(path):
    check_discovery(lambda: File(path=str(path)))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "path"),
        ({"path": 5}, "path must be a file's, not 5"),
        ({"path": ""}, "path must be a file's"),
        ({"path": "a.ini"}, "must be one of toml, yaml, json, not 'a.ini'"),
        ({"path": "a", "format": "ini"}, "format must be one of toml, yaml, json, not 'ini'"),
        ({"path": "a.json", "every": 0.05}, "every must be seconds from 0.1 to 86,400, not 0.05"),
        ({"path": "a.json", "every": True}, "every must be seconds"),
        ({"path": "a.json", "key": "a..b"}, "key must be a dotted path"),
        ({"path": "a.json", "evry": 5}, "did you mean 'every'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(registered, options, said):
    registered(File, "lines")
    with pytest.raises(SettingsError, match=rf"services\.shop\.discovery: .*{said}"):
        load({"services": {"shop": {"discovery": {"lines": options}}}})


def test_without_pyyaml_it_says_at_the_start_what_to_install(registered, monkeypatch):
    monkeypatch.setattr("meshware.discovery.file.find_spec", lambda name: None)
    registered(File, "lines")
    with pytest.raises(SettingsError, match=r"pip install \"meshware\[yaml\]\""):
        load({"services": {"shop": {"discovery": {"lines": {"path": "a.yaml"}}}}})


# How it is followed


def test_it_is_followed_within_half_a_second(followed, path):
    put(path, [B, {"address": C, "weight": 2}])
    followed.pass_time(0.5)
    assert followed.addresses == [B, C]
    assert A not in followed.picks(20)


def test_while_it_stays_as_it_is_nothing_is_read_and_its_age_is_none(followed, monkeypatch):
    monkeypatch.setattr("meshware.discovery.file.parse", None)
    for _ in range(5):
        followed.pass_time(1.0)
    assert (followed.source.error, followed.source.status(followed.now)["age"]) == ("", 0.0)


def test_the_turn_of_a_symlink_is_seen(tmp_path, registered):
    """As Kubernetes brings a new ConfigMap."""
    for name, address in (("..1", A), ("..2", B)):
        (tmp_path / name).mkdir()
        put(tmp_path / name / "inventory.json", [address])
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "inventory.json").symlink_to("..data/inventory.json")
    registered(File, "lines")
    world = Found(discovery={"lines": {"path": str(tmp_path / "inventory.json")}})
    world.keep_house()
    assert world.addresses == [A]
    (tmp_path / "..tmp").symlink_to("..2")
    os.replace(tmp_path / "..tmp", tmp_path / "..data")
    world.pass_time(1.0)
    assert world.addresses == [B]


WRONG = [
    ("", r"inventory\.json:1: JSON: Expecting value"),
    (f'["{A}", "10.0.', r"inventory\.json:1: JSON: Unterminated string"),
    ('{"endpoint": ["10.0.0.9:80"]}', "a list of endpoints is needed, or one under 'endpoints'"),
    ('{"endpoints": "10.0.0.9:80"}', "a list of endpoints is needed"),
    ("5", "a list of endpoints is needed"),
    ('["nonsense"]', "left out 'nonsense'"),
    (None, "a file that can be read"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[repr(text) for text, _ in WRONG])
def test_while_it_is_broken_the_last_good_set_stays_and_once_it_is_mended_it_is_seen_at_once(
    followed, path, text, said
):
    if text is None:
        path.unlink()
    else:
        put(path, text)
    for _ in range(10):
        followed.pass_time(1.3)
    assert followed.addresses == [A, B]
    assert re.search(said, followed.source.error)
    assert followed.source.failures >= 8
    put(path, [C])
    followed.pass_time(1.3)
    assert (followed.addresses, followed.source.error) == ([C], "")


def test_entries_that_are_wrong_are_left_out_and_each_is_told_once(followed, path):
    put(path, [A, A, "10.0.0.9:0", "u@h:80", "[fe80::1%eth0]:80", " h:80", 5, {"adress": B}, C])
    for _ in range(3):
        followed.pass_time(1.0)
    assert followed.addresses == [A, C]
    (told,) = followed.refused
    assert len(told) == 7


def test_an_empty_list_counts_after_ten_minutes(followed, path):
    put(path, [])
    for _ in range(6):
        followed.pass_time(100.0)
    assert followed.addresses == [A, B]
    followed.pass_time(100.0)
    assert followed.addresses == []


def test_a_file_that_comes_late_is_found_when_it_is_there(tmp_path, registered):
    registered(File, "lines")
    path = tmp_path / "late.json"
    world = Found(discovery={"lines": {"path": str(path)}})
    world.keep_house()
    assert "No such file" in world.source.said
    put(path, [A])
    world.pass_time(1.3)
    assert world.addresses == [A]
