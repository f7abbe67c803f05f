"""Where a call's key is found, by whatever kind of client."""

from __future__ import annotations

import pytest
from world import World

from meshware.balancing.key import reader


def key(setting, path="/items", **headers):
    return reader(setting)(World(1).call(path=path, headers=headers))


@pytest.mark.parametrize(
    ("setting", "path", "headers", "expected"),
    [
        ("path", "/items/7?page=2", {}, b"/items/7"),
        ({"header": "X-User"}, "/", {"X-User": "ann"}, b"ann"),
        ({"header": "X-User"}, "/", {"X-User": b"\xff"}, b"\xff"),
        ({"header": "X-User"}, "/", {}, None),
        ({"header": "X-User"}, "/", {"X-User": ""}, None),
        ({"cookie": "sid"}, "/", {"Cookie": 'a=1; sid="x=y"; sid=2'}, b"x=y"),
        ({"cookie": "sid"}, "/", {"Cookie": "xsid=1"}, None),
        ({"cookie": "sid"}, "/", {"Cookie": "sid="}, None),
        ({"cookie": "sid"}, "/", {}, None),
        ({"query": "user"}, "/items?page=2&user=a%20b&user=c", {}, b"a%20b"),
        ({"query": "user"}, "/items?page=2", {}, None),
        ({"query": "user"}, "/user=1", {}, None),
    ],
)
def test_a_key_is_taken_as_it_was_sent(setting, path, headers, expected):
    assert key(setting, path, **headers) == expected


@pytest.mark.parametrize(("client", "headers"), [("httpx", "Headers"), ("requests.structures", "CaseInsensitiveDict")])
def test_a_header_is_found_whatever_its_case(client, headers):
    headers = getattr(pytest.importorskip(client), headers)
    call = World(1).call(headers=headers({"x-USER": "ann", "cookie": "sid=7"}))
    assert reader({"header": "X-User"})(call) == b"ann"
    assert reader({"cookie": "sid"})(call) == b"7"


def test_no_text_is_too_odd_for_a_key():
    assert key({"header": "X-User"}, **{"X-User": "\ud800"})


@pytest.mark.parametrize(
    "setting", ["", "header", None, 7, {}, {"header": ""}, {"header": 7}, {"body": "x"}, {"header": "a", "cookie": "b"}]
)
def test_what_is_no_key_is_refused(setting):
    with pytest.raises(ValueError, match=r"key must be 'path', \{'header': name\}"):
        reader(setting)
