"""The strategy by its name, as settings use it."""

from __future__ import annotations

import random

import pytest

from meshware import Mesh, SettingsError
from meshware.core.call import Call
from meshware.core.request import Request
from meshware.settings.load import load
from meshware.testing import check_strategy


def test_it_is_fit_for_use():
    check_strategy("cheapest")
    check_strategy({"cheapest": {"unknown": 5}}, metadata=lambda number: {"price": number} if number % 2 else {})


def picked(*prices, **options):
    """The addresses that 100 calls go to; a price of None is not named."""
    endpoints = [
        {"address": f"192.0.2.{number}:80", "metadata": {} if price is None else {"price": price}}
        for number, price in enumerate(prices, 1)
    ]
    settings = load({"services": {"shop": {"endpoints": endpoints, "strategy": {"cheapest": options}}}})
    service = Mesh(settings, rng=random.Random(1)).services["shop"]
    calls = [Call(service, Request("GET", "shop", "/", {})) for _ in range(100)]
    return {call.begin(0.0).endpoint.address for call in calls}


def test_the_cheapest_gets_every_call():
    assert picked(3, 1, 2) == {"192.0.2.2:80"}


def test_one_without_a_price_is_dear_unless_told_otherwise():
    assert picked(3, None) == {"192.0.2.1:80"}
    assert picked(3, None, unknown=0) == {"192.0.2.2:80"}


def test_a_price_that_is_none_is_refused_with_the_path():
    endpoints = ["192.0.2.1:80"]
    with pytest.raises(SettingsError, match=r"services\.shop\.strategy.*unknown must be a price"):
        load({"services": {"shop": {"endpoints": endpoints, "strategy": {"cheapest": {"unknown": -1}}}}})
