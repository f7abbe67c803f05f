"""The index against going through all routes one by one: whatever routes and requests, the same one is found."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from meshware.core.request import Request
from meshware.routing.index import FEW, Entry, Index
from meshware.routing.match import Match, MatchOptions
from meshware.routing.paths import PathOptions
from meshware.routing.texts import TextOptions

SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab", "aba"]), min_size=1, max_size=3)
PATHS = SEGMENTS.map(lambda parts: "/" + "/".join(parts))
WANTED = st.one_of(
    st.none(),
    st.builds(PathOptions, exact=PATHS, ignore_case=st.booleans()),
    st.builds(PathOptions, prefix=st.one_of(st.just("/"), PATHS), ignore_case=st.booleans()),
    st.builds(PathOptions, separated_prefix=PATHS),
    st.builds(PathOptions, template=PATHS.map(lambda path: path + "/{id}")),
)
TEXTS = st.one_of(
    st.builds(TextOptions, exact=st.sampled_from(["1", "2"]), invert=st.booleans()),
    st.just(TextOptions(present=True)),
)
HEADERS = st.dictionaries(st.sampled_from(["x", "y"]), TEXTS, max_size=2)
OPTIONS = st.builds(
    MatchOptions, path=WANTED, headers=HEADERS, methods=st.sampled_from([None, frozenset({"GET"}), frozenset({"PUT"})])
)
REQUESTS = st.builds(
    Request,
    st.sampled_from(["GET", "PUT"]),
    st.just("inventory"),
    st.one_of(PATHS, PATHS.map(str.upper), st.just("/")),
    st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from(["1", "2", "3"]), max_size=2),
)


def never(error):
    raise AssertionError(error)


def first(entries, request):
    rng = random.Random(1)
    return next((each.place for each in entries if each.match.unmet(request, None, rng, 0.0) is None), None)


@given(st.lists(OPTIONS, min_size=FEW + 1, max_size=40), st.lists(REQUESTS, min_size=1, max_size=10))
def test_the_first_of_the_candidates_is_the_first_of_all(options, requests):
    entries = [Entry(place, Match(each, failed=never), None) for place, each in enumerate(options)]
    index = Index(entries)
    for request in requests:
        found = list(index.candidates(request))
        assert [each.place for each in found] == sorted(each.place for each in found)
        assert first(found, request) == first(entries, request)
