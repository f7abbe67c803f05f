"""What is told of routes is what is decided of them: the same route by the same draws, and the same part of a split."""

from __future__ import annotations

import random
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from routing.test_index import OPTIONS, REQUESTS, never

from meshware.core.request import Request
from meshware.routing.match import Match, MatchOptions
from meshware.routing.paths import PathOptions
from meshware.routing.router import Route, Routes
from meshware.routing.split import Split, key_of
from meshware.routing.telling import Telling
from meshware.routing.texts import TextOptions


def route(number, options, share):
    """A route for calls like that, and of these for a share."""
    by_chance = MatchOptions(options.methods, options.path, options.headers, share=share)
    return Match(by_chance, failed=never), Route(str(number))


@given(
    st.lists(st.tuples(OPTIONS, st.sampled_from([1.0, 0.5, 0.1])), max_size=30),
    st.lists(REQUESTS, min_size=1, max_size=20),
)
def test_the_route_that_is_told_is_the_one_that_is_found(some, requests):
    routes = Routes([route(number, *each) for number, each in enumerate(some)])
    service, chance = SimpleNamespace(name="inventory", rng=random.Random(1)), random.Random(1)
    for request in requests:
        telling = Telling(chance, imagined=False)
        found = routes.find(service, request, None, 0.0)
        assert telling.find(routes, service, request, None, 0.0) is found
        assert [each.unmet is None for each in telling.looked].count(True) == (found is not None)
        assert service.rng.getstate() == chance.getstate()


def test_a_split_that_is_told_is_the_one_that_is_drawn():
    parts = [(name, 1.0, SimpleNamespace(service=SimpleNamespace(name=name))) for name in "abcd"]
    for key in (None, key_of("header", "x-user")):
        split, chance, again = Split(parts, key), random.Random(2), random.Random(2)
        for user in range(200):
            request, telling = Request("GET", "inventory", "/", {"x-user": str(user)}), Telling(again, imagined=True)
            part = telling.split(split, request, None, again)
            assert part is split.pick(request, None, chance)
            assert telling.drawn.service == part.service.name
            assert telling.drawn.key == (None if key is None else str(user))
            assert 0 <= telling.drawn.place < 1
        assert chance.getstate() == again.getstate()


def test_what_is_wanted_is_said_as_the_settings_have_it():
    assert str(TextOptions(range=(1, 5), invert=True)) == "range: (1, 5), invert: True"
    assert str(PathOptions(prefix="/v2", ignore_case=True)) == "prefix: /v2, ignore_case: True"
    assert str(TextOptions(exact="")) == "exact: "
