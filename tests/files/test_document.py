"""What a file says: JSON beside TOML and YAML (those: tests/settings/test_bad_input.py), and how much of it."""

from __future__ import annotations

import json

import pytest

from meshware.files import limits
from meshware.files.contents import Unreadable
from meshware.files.document import parse
from meshware.files.formats import format_of


@pytest.mark.parametrize(
    ("name", "kind"), [("a.json", "json"), ("a.yml", "yaml"), ("A.TOML", "toml"), ("..data/a", None)]
)
def test_the_end_of_its_name_says_its_format(name, kind):
    assert format_of(name) == kind


def test_json_says_what_it_says_everywhere():
    data = {"endpoints": ["a:1", {"address": "b:2", "weight": 0.5}], "more": None, "on": True}
    assert parse("a.json", json.dumps(data).encode(), "json").data == data


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"a\.json:1: JSON: Expecting value \(column 1\)"),
        ('["a:1",\n "b:', r"a\.json:2: JSON: Unterminated string"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "each key once, but 'c' stands there twice"),
        ("[NaN]", "a number, not NaN"),
        ("[" * 100_000, limits.TOO_DEEP),
        ("[" * 40 + "]" * 40, limits.TOO_DEEP),
        ("[" + "9" * 10_000 + "]", "JSON: Exceeds the limit"),
        ("[" + "1," * 200_000 + "1]", limits.TOO_MANY),
        ("\ufeff[]", "UTF-8 without a byte order mark"),
        (b'["caf\xe9"]', r"a\.json:1: UTF-8"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_json_is_said_with_its_line(text, said):
    with pytest.raises(Unreadable, match=said):
        parse("a.json", text if isinstance(text, bytes) else text.encode(), "json")


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_more_values_are_read_where_more_are_wanted(kind):
    if kind == "yaml":
        pytest.importorskip("yaml")
    data = b"[" + b"1," * 20 + b"1]"
    assert len(parse("a", data, kind, nodes=22).data) == 21
    with pytest.raises(Unreadable, match="at most 21 values in all"):
        parse("a", data, kind, nodes=21)
