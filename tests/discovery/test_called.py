"""Endpoints from a function of the app's own: what it may give, and that its faults and its pauses break no call."""

from __future__ import annotations

import threading

import pytest
from discovery.conftest import Found

from meshware.core.errors import SettingsError
from meshware.discovery import Endpoints
from meshware.discovery.called import Called
from meshware.settings.load import load
from meshware.testing import check_discovery

A, B = "10.0.0.1:80", "10.0.0.2:80"


def registry():
    """What the settings name by its import path."""
    return [A, {"address": B, "weight": 2}]


async def coroutine():
    return [A]


HERE = f"{__name__}:registry"


def fetched(function, **options):
    return Called(function=function, **options).fetch(0.0)


@pytest.mark.parametrize(
    "given",
    [[A, B], (A, B), {A: None, B: None}.keys(), (each for each in (A, B)), Endpoints([A, B], 5.0)],
    ids=["list", "tuple", "keys", "generator", "Endpoints"],
)
def test_it_may_give_any_iterable_or_say_for_how_long_it_is_valid(given):
    found = fetched(lambda: given, every=7.0)
    assert list(found.found) == [A, B]
    assert found.valid_for == (5.0 if isinstance(given, Endpoints) else 7.0)


@pytest.mark.parametrize("given", [A, A.encode(), {A: {"weight": 1}}, None, 5], ids=repr)
def test_what_it_cannot_mean_is_a_failure(given):
    with pytest.raises(TypeError, match="a list of endpoints is needed"):
        fetched(lambda: given)


def test_a_coroutine_is_none_and_leaves_no_warning_behind():
    with pytest.raises(TypeError, match="a list of endpoints is needed"):
        fetched(lambda: coroutine())


def test_an_endless_answer_is_cut():
    def endless():
        while True:
            yield A

    assert len(fetched(endless).found) == 100_000


def test_built_in_it_keeps_to_what_every_discovery_must():
    check_discovery(lambda: Called(function=registry))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "function"),
        ({"function": 5}, "`module:name`, not 5"),
        ({"function": "registry"}, "`module:name`, not 'registry'"),
        ({"function": "no.such:thing"}, "one that can be imported .*No module named 'no'"),
        ({"function": f"{__name__}:nothing"}, "one that can be imported"),
        ({"function": f"{__name__}:HERE"}, "function must be one"),
        ({"function": coroutine}, "an ordinary one"),
        ({"function": registry, "every": 0}, "every must be seconds from 1 to 86,400, not 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(registered, options, said):
    registered(Called, "function")
    with pytest.raises(SettingsError, match=rf"services\.shop\.discovery: .*{said}"):
        load({"services": {"shop": {"discovery": {"function": options}}}})


def test_it_is_named_by_its_import_path_and_called_again_and_again(registered, monkeypatch):
    registered(Called, "function")
    world = Found(discovery={"function": {"function": HERE, "every": 5}})
    world.keep_house()
    assert [(each.address, each.weight) for each in world.endpoints] == [(A, 1), (B, 2)]
    world.pass_time(5.0)
    assert world.hands.jobs == 2


def test_while_it_raises_the_last_good_set_stays(registered):
    said = [[A], OSError("database gone"), [B]]

    def moody():
        now = said.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    registered(Called, "function")
    world = Found(discovery={"function": {"function": moody, "every": 1}})
    world.keep_house()
    world.pass_time(1.0)
    assert (world.addresses, world.source.error) == ([A], "OSError: database gone")
    world.pass_time(1.3)
    assert (world.addresses, world.source.error) == ([B], "")


def test_while_it_hangs_calls_go_on_and_it_is_asked_nothing_more(registered):
    """On real hands, under a clock set by hand."""
    from meshware.hands import Hands

    go_on, entered = threading.Event(), threading.Event()
    turns = [lambda: [A], lambda: (entered.set(), go_on.wait(5.0), [B])[2]]
    registered(Called, "function")
    world = Found(discovery={"function": {"function": lambda: turns.pop(0)(), "every": 1}})
    woken = threading.Event()
    world.hands = Hands(woken.set)

    def round():
        world.keep_house()
        world.hands.poll(world.now)

    round()
    assert woken.wait(5.0)
    round()
    assert world.addresses == [A]
    world.now += 1.0
    round()
    assert entered.wait(5.0)
    assert set(world.picks(5)) == {A}
    world.now += 10.0
    round()
    assert "no answer in 10 s" in world.source.error
    for _ in range(5):
        world.now += 60.0
        round()
    assert (world.addresses, turns, world.hands.hung) == ([A], [], 1)
    go_on.set()
