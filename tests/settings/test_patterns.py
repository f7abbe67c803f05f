"""Regular expressions: what is taken has one way on after each character, or is run by RE2."""

from __future__ import annotations

import random
import re
import time
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshware.settings.ambiguity import unique
from meshware.settings.grammar import Refused
from meshware.settings.patterns import captures, pattern
from meshware.settings.regex import Ambiguous, parse

KIB = 65_536

UNIQUE = [
    r"/items/\d+", r"/v[12]/(users|items)/[^/]+", r"/static/.*", r"[a-z-]+\.json", r"(?:/[a-z]+)*", r"\d{1,3}x",
    r"[0-9a-f]{8}-[0-9a-f]{4}", r"a?b", r"(ab?){2,3}c", r"a|b|cd", r"x{2,}", r"(?P<id>\d+)/\w*", r"[]a]+", r"[^]]x",
    r"a*?b", r"^/a$", r"\x2f[\x61-\x63]*", r"(?:(?:a|b)c)+d", r"[\w.-]+@[\w]+", r"\.\*\$", r"\{\}",
]  # fmt: skip

AMBIGUOUS = [
    r"(a+)+b", r"(a|a)*b", r".*foo", r"(a*)*", r"a*a*b", r"([a-z]+)*!", r"a{0,50}a{0,50}b", r"(a?){30}a{30}", r"a|ab",
    r"(x+x+)+y", r"x{2,5}x", r"(?:a?b?)*", r"(?:a|b?)+", r"(.*)(.*)",
]  # fmt: skip

UNKNOWN = [r"(.*)\1", r"(?=a)b", r"(?i)a", r"a++b", r"(?>a)b", r"a\b", r"(?<!a)b", r"a^b", r"a$b", r"(?#x)a", r"\Aa"]


@pytest.mark.parametrize("text", UNIQUE)
def test_what_leaves_no_choice_is_taken(text):
    assert pattern(text).fullmatch is not None


@pytest.mark.parametrize("text", [*AMBIGUOUS, *UNKNOWN])
def test_what_leaves_a_choice_or_is_not_looked_through_is_not(text):
    with pytest.raises(Ambiguous):
        unique(parse(text))
    with pytest.raises(Refused):
        captures(text)


@pytest.mark.parametrize(
    "text",
    [
        "(?:" * 50 + "a" + ")" * 50,
        "(?:(?:(?:a){99}){99}){99}",
        "(?:(?:(?:){999}){999}){999}",
        "a{1000000}",
        "a{0,99999}",
    ],
)
def test_what_would_take_long_to_look_through_is_refused_at_once(text):
    began = time.perf_counter()
    with pytest.raises(Ambiguous):
        unique(parse(text))
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize("wrong", ["(a", "[", "a" * 1001, 5, None, "*a"])
def test_what_is_no_pattern_is_refused(wrong):
    with pytest.raises(Refused):
        pattern(wrong)


def test_who_has_no_re2_is_told_of_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    with pytest.raises(Refused, match=r'pip install "meshware\[re2\]"'):
        pattern("(a+)+b")


@pytest.mark.parametrize(
    ("text", "head"),
    [(r"/items/\d+", "/items/"), (r"a|b", ""), (r"/a?b", "/"), (r"[/]a", "/a"), (r"/a\.b(c)", "/a.bc"), (r".*", "")],
)
def test_a_pattern_knows_what_every_match_begins_with(text, head):
    assert pattern(text).head == head


TEXTS = {
    r"(?:/[a-z]+)*": "/abc" * (KIB // 4) + "!",
    r"/static/.*": "/static/" + "x" * KIB + "\n",
    r"[a-z-]+\.json": "a" * KIB + "!",
    r"(?:(?:a|b)c)+d": "acbc" * (KIB // 4) + "e",
    r"(ab?){2,3}c": "ab" * (KIB // 2),
    r"\w*(?:-\w+)*": "a-" * (KIB // 2) + "!",
    r"a*b*c*d*e*": "a" * (KIB // 2) + "b" * (KIB // 2) + "!",
    r"(?:a(?:b(?:c)*)*)*x": "abcc" * (KIB // 4) + "y",
    r"a*?b": "a" * KIB,
}


@pytest.mark.parametrize("text", TEXTS)
def test_sixty_four_kib_take_no_longer_than_fifty_milliseconds(text):
    made, asked = pattern(text), TEXTS[text]
    took = min(timed(made, asked) for _ in range(3))
    assert took < 0.05


def timed(made, asked):
    began = time.process_time()
    made.fullmatch(asked)
    return time.process_time() - began


needs_re2 = pytest.mark.skipif(find_spec("re2") is None, reason="needs the extra re2")


HEAVY = [rf"(?:a|b)*a(?:a|b){{{count}}}" for count in (12, 30, 40, 100, 450)]
"""Automata of so many states that RE2 cannot keep them, and goes through all of the pattern for each character."""


@needs_re2
@pytest.mark.parametrize("text", [*AMBIGUOUS, *HEAVY, r"(?i)a", r"(.*a){20}", r"(x+x+)+y"])
def test_what_leaves_a_choice_is_run_by_re2_in_fifty_milliseconds_too(text):
    made = pattern(text)
    any_of_both = "".join(random.choice("ab") for _ in range(KIB))
    for asked in ("a" * KIB + "!", "x" * KIB, "ab" * (KIB // 2), any_of_both, any_of_both[:6_000]):
        assert min(timed(made, asked) for _ in range(3)) < 0.05


@needs_re2
def test_re2_looks_at_latin_1_and_at_no_more_than_it_has_time_for():
    assert pattern(".*\u00e9").fullmatch("a\u00e9") is not None
    assert pattern(".*\u00e9").fullmatch("a\u0436") is None
    heavy = pattern(HEAVY[-1])
    assert heavy.fullmatch("a" * 600) is not None
    assert heavy.fullmatch("a" * 60_000) is None


@needs_re2
@pytest.mark.parametrize(
    "text", [r"(.*)\1", r"(?=a)b", r"(?:[a-z]{1,90}){1,9}(?:[a-z]{1,90}){1,9}", r"(?:a|b)*a(?:a|b){500}"]
)
def test_what_re2_cannot_run_in_time_is_refused(text):
    with pytest.raises(Refused):
        pattern(text)


atoms = st.sampled_from(["a", "b", "c", "[ab]", "[^a]", "(a|b)", "(?:ab)", ".", "(a)", "b|c", "(?:a?b)"])
pieces = st.tuples(atoms, st.sampled_from(["", "*", "+", "?", "{2}", "{1,2}", "{2,}", "*?"])).map("".join)


@given(st.lists(pieces, min_size=1, max_size=5).map("".join), st.text("abc", max_size=30))
def test_the_parser_reads_as_the_engine_does(text, asked):
    """Whatever is taken has so few ways that even a text made for it is through in no time, and heads are right."""
    try:
        made = pattern(text)
    except Refused:
        return
    found = re.fullmatch(text, asked)
    assert (made.fullmatch(asked) is None) is (found is None)
    if found is not None:
        assert asked.startswith(made.head)
    assert timed(made, asked * 2_000 + "!") < 0.5
