"""The settings of localities: defaults, merging, and what is refused."""

from __future__ import annotations

import pytest

from meshware.core.errors import SettingsError
from meshware.settings.explain import explain
from meshware.settings.load import load
from meshware.settings.origin import Source


def mesh(locality=None, *, defaults=None):
    service = {"endpoints": ["10.0.0.1:80"], **({} if locality is None else {"locality": locality})}
    return load({"services": {"shop": service}, "defaults": {} if defaults is None else {"locality": defaults}})


def test_the_near_are_preferred_with_the_numbers_of_envoy():
    found = mesh().services["shop"].locality
    assert (found.mode, found.overprovisioning, found.hold, found.weights) == ("prefer", 1.4, 5.0, {})
    assert mesh().locality == ""


def test_a_service_changes_one_thing_of_the_defaults():
    found = mesh({"hold": 1.0}, defaults={"overprovisioning": 2.0}).services["shop"].locality
    assert (found.hold, found.overprovisioning) == (1.0, 2.0)


def test_weights_are_by_names_as_they_are_written():
    found = mesh({"mode": "weighted", "weights": {"AWS/eu": 3, "gcp": 0}}).services["shop"].locality
    assert found.weights == {"AWS/eu": 3.0, "gcp": 0.0}


WEIGHTED = {"mode": "weighted", "weights": {"aws": 1}}


@pytest.mark.parametrize("mode", ["off", "prefer"])
def test_a_service_leaves_a_weighted_default_by_its_mode_alone(mode):
    found = mesh({"mode": mode}, defaults={**WEIGHTED, "hold": 1.0}).services["shop"].locality
    assert (found.mode, found.weights, found.hold) == (mode, {}, 1.0)


@pytest.mark.parametrize("own", [{}, {"hold": 2.0}, {"mode": "weighted"}, {"MODE": "weighted", "hold": 3.0}])
def test_a_service_that_says_no_other_mode_keeps_the_weights_of_the_defaults(own):
    assert mesh(own, defaults=WEIGHTED).services["shop"].locality.weights == {"aws": 1.0}


def test_weights_of_its_own_beside_another_mode_are_refused_all_the_same():
    with pytest.raises(SettingsError, match="`weights` go with mode `weighted`"):
        mesh({"mode": "off", "weights": {"aws": 2}}, defaults=WEIGHTED)


def test_weights_that_a_service_has_left_are_in_force_by_nobodys_word():
    source = {
        "defaults": {"locality": WEIGHTED},
        "services": {"shop": {"endpoints": ["10.0.0.1:80"], "locality": {"mode": "off"}}},
    }
    values = {each.path: each for each in explain(load(source), Source(source))}
    assert values["services.shop.locality.mode"].source == "set"
    assert (values["services.shop.locality.weights"].value, values["services.shop.locality.weights"].source) == (
        {},
        "default",
    )


@pytest.mark.parametrize(
    ("locality", "said"),
    [
        ({"mode": "nearest"}, "prefer"),
        ({"mode": "weighted"}, "needs `weights`"),
        ({"mode": "weighted", "weights": {"aws": 0}}, "at least one of them more than 0"),
        ({"weights": {"aws": 1}}, "go with mode `weighted`"),
        ({"mode": "weighted", "weights": {"aws": -1}}, "weights.aws"),
        ({"mode": "weighted", "weights": {"aws": float("nan")}}, "weights.aws"),
        ({"overprovisioning": 0.9}, "overprovisioning"),
        ({"hold": -1}, "hold"),
    ],
)
def test_what_cannot_be_meant_is_refused(locality, said):
    with pytest.raises(SettingsError) as refused:
        mesh(locality)
    assert said in str(refused.value)
