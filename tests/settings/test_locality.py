"""The settings of localities: defaults, merging, and what is refused."""

from __future__ import annotations

import pytest

from meshware.core.errors import SettingsError
from meshware.settings.load import load


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
