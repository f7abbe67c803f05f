"""What comes along, and what a user's words stand for."""

from __future__ import annotations

import pytest

from meshware.testing.simulation import InputError, built_in, drawn, names
from meshware.testing.simulation.library import TEN, find


def test_every_built_in_scenario_can_be_read_and_says_what_it_is():
    assert len(names()) >= 20
    for name in names():
        scenario = built_in(name)
        assert scenario.name == name
        assert scenario.about.endswith(".")


def test_the_ten_are_among_them():
    assert len(set(TEN)) == 10
    assert set(TEN) <= set(names())


def test_a_name_that_there_is_not_is_no_key():
    with pytest.raises(KeyError):
        built_in("../scenarios/heavy")


def test_a_word_is_a_name_or_a_seed_or_a_file(tmp_path):
    (tmp_path / "mine.toml").write_text("load = 0.5\n")
    assert find("heavy") == built_in("heavy")
    assert find("drawn:17") == drawn(17)
    assert find(str(tmp_path / "mine.toml")).load == 0.5


@pytest.mark.parametrize(("word", "nearest"), [("slow10", "slow10x"), ("drawn:x", None), ("drawn", None)])
def test_an_unknown_word_is_refused_and_the_nearest_named(word, nearest):
    with pytest.raises(InputError, match=r"drawn:SEED, or one of bimodal") as caught:
        find(word)
    (problem,) = caught.value.problems
    assert (problem.value, problem.nearest) == (word, nearest)
