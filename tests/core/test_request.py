"""Request and the name of its operation."""

from __future__ import annotations

import pytest
from world import request

from meshware.core.request import operation_of


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "GET /"),
        ("/items", "GET /items"),
        ("/items/42", "GET /items/*"),
        ("/items/42?page=2", "GET /items/*"),
        ("/items/6f1c2d3e-0000-4000-8000-00000000abcd/price", "GET /items/*/price"),
        ("/t/abcdefghijklmnopqrstuvwxyz", "GET /t/*"),
        ("/a/b/c/d/e/f", "GET /a/b/c/d"),
        ("//a//b", "GET /a/b"),
        ("/items/٤٢", "GET /items/٤٢"),
    ],
)
def test_variable_segments_are_starred_and_at_most_four_are_kept(path, name):
    assert operation_of("GET", path) == name


def test_a_request_shows_where_it_goes():
    assert repr(request("get", "/items")) == "<Request GET inventory/items>"


def test_an_idempotency_key_says_that_sending_twice_does_no_harm():
    assert request("POST", headers={"Idempotency-Key": "1"}).keyed
    assert not request("POST").keyed
