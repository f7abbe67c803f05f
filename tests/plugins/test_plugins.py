"""Plugins: found by their entry points, loaded when the settings name them, refused with their owner's name."""

from __future__ import annotations

import sys

import pytest

from meshware import Mesh, SettingsError, plugins
from meshware.core.errors import PluginError
from meshware.core.request import Request
from meshware.plugins import STRATEGIES
from meshware.settings.load import load


def settings(strategy, **endpoint):
    endpoints = [{"address": f"10.0.0.{n}:80", "metadata": {"price": n}} | endpoint for n in (1, 2, 3)]
    return {"services": {"shop": {"endpoints": endpoints, "strategy": strategy}}}


CHEAPEST = """
class Cheapest:
    '''Prefers the endpoint whose metadata names the lowest price.'''

    needs = ()

    def __init__(self, *, currency="usd"):
        self.currency = currency

    def score(self, endpoint, call):
        return float(endpoint.metadata["price"])
"""


# Built-in


def test_the_built_in_strategies_come_through_the_same_door():
    assert plugins.strategies() >= {"least_request", "peak_ewma", "random", "round_robin"}
    assert plugins.load(STRATEGIES, "random").__module__ == "meshware.balancing.random"
    assert plugins.owner(plugins.installed(STRATEGIES)["random"][0]).startswith("meshware ")


def test_looking_imports_nothing(package):
    package("shop_late", "raise RuntimeError", late="Late")
    assert "late" in plugins.strategies()
    assert "shop_late" not in sys.modules


# Somebody else's


def test_a_strategy_of_ten_lines_in_a_package_of_its_own_is_picked(package):
    package("shop_cheap", CHEAPEST, cheapest="Cheapest")
    mesh = Mesh(load(settings({"cheapest": {"currency": "eur"}})))
    service = mesh.services["shop"]
    picked = {
        mesh.call(service, Request("GET", "shop", "/", {})).begin(mesh.clock()).endpoint.address for _ in range(20)
    }
    mesh.close()
    assert picked == {"10.0.0.1:80"}


def test_a_name_that_two_packages_bring_is_refused_with_both_owners(package):
    package("shop_one", CHEAPEST, cheapest="Cheapest")
    package("shop_two", CHEAPEST, cheapest="Cheapest")
    with pytest.raises(SettingsError) as caught:
        load(settings("cheapest"))
    (problem,) = caught.value.problems
    assert problem.path == "services.shop.strategy"
    assert "used twice: shop_one:Cheapest of shop_one 1.2, shop_two:Cheapest of shop_two 1.2" in problem.expected


def test_the_same_package_found_twice_is_one(package, monkeypatch):
    package("shop_cheap", CHEAPEST, cheapest="Cheapest")
    monkeypatch.syspath_prepend(sys.path[0])
    plugins.installed.cache_clear()
    assert plugins.load(STRATEGIES, "cheapest").__name__ == "Cheapest"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module", "no_such_module"),
        ("", "has no attribute 'Cheapest'"),
        ("1 / 0", "ZeroDivisionError"),
        ("class Cheapest: pass", "neither `picker`, nor `score` and `needs`"),
        ("class Cheapest:\n    def score(self, endpoint, call): return 0.0", "neither `picker`"),
        ("class Cheapest:\n    def __init__(self): raise OSError('no price list')", "no price list"),
        ("class Cheapest:\n    def __init__(self): raise ValueError('too cheap')", "too cheap"),
    ],
)
def test_a_plugin_that_cannot_be_used_is_a_problem_of_the_settings(package, source, said):
    package("shop_cheap", source, cheapest="Cheapest")
    with pytest.raises(SettingsError) as caught:
        load(settings("cheapest"))
    (problem,) = caught.value.problems
    assert problem.path == "services.shop.strategy"
    assert said in problem.expected


def test_a_broken_plugin_that_nobody_names_does_no_harm(package):
    package("shop_cheap", "1 / 0", cheapest="Cheapest")
    assert load(settings("random"))


def test_a_strategy_that_takes_any_options_is_asked_itself(package):
    source = """
    class Any:
        needs = ()
        def __init__(self, **options):
            if "price" not in options:
                raise ValueError("price is needed")
        def score(self, endpoint, call):
            return 0.0
    """
    package("shop_any", source, any="Any")
    assert load(settings({"any": {"price": 1}}))
    with pytest.raises(SettingsError, match="price is needed"):
        load(settings({"any": {"prize": 1}}))


def test_a_plugin_whose_signature_cannot_be_read_is_asked_itself(package):
    package("shop_odd", "class Odd(dict):\n    needs = ()\n    score = lambda *_: 0.0", odd="Odd")
    package("shop_more", "from types import SimpleNamespace as More", more="More")
    assert load(settings({"odd": {"what": 1}}))
    assert load(settings({"more": {"needs": (), "score": lambda endpoint, call: 0.0}}))


# Without packaging


class Dearest:
    """Prefers the highest price."""

    needs = ()

    def __init__(self, *, top=100):
        self.top = top

    def score(self, endpoint, call):
        return self.top - endpoint.metadata["price"]


def test_a_class_may_be_registered_instead_of_packaged(registry):
    Mesh.register("dearest", Dearest)
    assert "dearest" in plugins.strategies()
    made = load(settings({"dearest": {"top": 10}})).services["shop"].strategy
    assert (made.name, made.options) == ("dearest", {"top": 10})


def test_a_registered_class_is_refused_by_the_same_rules(registry):
    Mesh.register("dearest", Dearest)
    with pytest.raises(SettingsError, match="dearest takes top, not 'tpo'; did you mean 'top'"):
        load(settings({"dearest": {"tpo": 10}}))


def test_registering_the_same_class_again_is_no_error(registry):
    Mesh.register("dearest", Dearest)
    Mesh.register("dearest", Dearest)
    assert plugins.load(STRATEGIES, "dearest") is Dearest


@pytest.mark.parametrize("name", ["random", "dearest"])
def test_a_name_that_is_taken_is_refused(registry, name):
    plugins.register(STRATEGIES, "dearest", dict)
    with pytest.raises(PluginError, match=f"{name!r} is taken already"):
        plugins.register(STRATEGIES, name, Dearest)


def test_there_are_no_other_groups(registry):
    with pytest.raises(PluginError, match="no group of plugins"):
        plugins.register("meshware.strategy", "dearest", Dearest)


def test_a_name_that_nobody_has_says_which_there_are(registry):
    Mesh.register("dearest", Dearest)
    with pytest.raises(
        PluginError, match=r"no plugin named 'none' is installed \(installed: .*dearest, .*least_request"
    ):
        plugins.load(STRATEGIES, "none")
    with pytest.raises(PluginError, match=r"\(installed: none\)"):
        plugins.load("meshware.breakers", "none")


def test_an_entry_point_without_a_package_has_an_unknown_owner():
    from importlib.metadata import EntryPoint

    assert plugins.owner(EntryPoint("x", "y:z", STRATEGIES)) == "an unknown package"
