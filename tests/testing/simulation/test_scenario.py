"""What a scenario says of itself."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from meshware.core.endpoint import Locality
from meshware.testing.simulation import Scenario
from meshware.testing.simulation.scenario import Fault

FLEET = Scenario.model_validate(
    {
        "load": 0.5,
        "loads": [{"at": 3, "load": 0.9}, {"at": 5, "load": 0.1}],
        "replicas": [{"count": 2, "slots": 4, "locality": "aws/eu/a"}, {"count": 1, "slots": 2, "speed": 0.5}],
        "operations": [{"share": 3, "work": 0.01}, {"share": 1, "work": 0.05, "path": "/report"}],
    }
)


def test_it_knows_what_the_fleet_can_do_and_what_is_asked_of_it():
    assert FLEET.capacity == 9.0
    assert FLEET.mean_work == pytest.approx(0.02)
    assert FLEET.heaviest() == 0.9
    assert [FLEET.load_at(time) for time in (0, 2.9, 3, 4.9, 5, 99)] == [0.5, 0.5, 0.9, 0.9, 0.1, 0.1]
    assert FLEET.requests == pytest.approx(0.9 * 9.0 / 0.02 * 12)


def test_a_burst_stands_above_the_loads():
    found = FLEET.model_validate({"load": 0.5, "bursts": {"load": 1.5, "every": 2, "lasts": 0.5}})
    assert [found.load_at(time) for time in (0, 0.4, 0.5, 1.9, 2.1)] == [1.5, 1.5, 0.5, 0.5, 1.5]
    assert found.heaviest() == 1.5


@pytest.mark.parametrize(
    ("other", "seconds"), [("aws/eu/a", 0.0005), ("aws/eu/b", 0.001), ("aws/us/a", 0.03), ("gcp/eu/a", 0.03)]
)
def test_the_way_is_longer_to_what_is_farther(other, seconds):
    assert FLEET.distance(Locality.parse("aws/eu/a"), Locality.parse(other)) == seconds


@pytest.mark.parametrize(
    "wrong",
    [
        {"load": "0.5"}, {"load": True}, {"load": float("nan")}, {"replicas": [{"count": 0}]}, {"replicas": []},
        {"clients": []}, {"operations": []}, {"faults": [{"kind": "slow"}]}, {"bursts": {"load": 1, "every": 0}},
        {"begin": 12.0}, {"faults": [{"kind": "slow", "at": 1, "replicas": [10]}]},
        {"settings": {"strategy": "random"}}, {"deadline": 1e5}, {"duration": 1e6, "load": 1e5},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        Scenario.model_validate(wrong)


def test_a_key_that_is_no_text_hides_nothing():
    with pytest.raises(ValidationError) as caught:
        Scenario.model_validate({1.5: 2, "load": -1, "begin": 20})
    assert {each["loc"] for each in caught.value.errors()} == {("1.5",), ("load",), ("begin",)}


def test_a_fault_that_is_one_already_is_judged_beside_what_is_wrong():
    with pytest.raises(ValidationError) as caught:
        Scenario(load=-1, faults=[Fault(kind="slow", at=1, replicas=[99])])
    assert [each["loc"] for each in caught.value.errors()] == [("load",), ("faults", 0, "replicas", 0)]
