"""YAML as it is read here: what it may say, and what is said of what it may not."""

from __future__ import annotations

import re

import pytest

from meshware.files.yaml_text import NotYaml, read_several, read_yaml, write_yaml

pytest.importorskip("yaml")


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


def test_several_documents_are_read_one_by_one_with_the_lines_of_each():
    found, lines = read_several("a: &x 1\n---\n---\nb: [2]\n")
    assert found == [{"a": 1}, None, {"b": [2]}]
    assert (lines[0, "a"], lines[2, "b"]) == (1, 4)
    assert read_several("") == ([], {})


def test_an_anchor_is_its_documents_own():
    with pytest.raises(NotYaml, match="an anchor named 'x'"):
        read_several("a: &x 1\n---\nb: *x\n")


def test_what_is_written_has_no_anchors_and_is_read_again():
    shared = {"b": [1, "1", None]}
    text = write_yaml({"z": shared, "a": shared})
    assert "&" not in text
    assert read_yaml(text)[0] == {"z": shared, "a": shared}
    assert text.index("z:") < text.index("a:")
