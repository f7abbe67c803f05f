"""Raw settings before the models read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_origin

from pydantic import BaseModel

from meshware.settings.late import model_in
from meshware.settings.model import PluginChoice
from meshware.settings.schema import Policy
from meshware.settings.shape import SECTIONS, Again, named, plain


def test_a_name_that_is_there_already_is_equal_to_nothing_but_itself():
    again = Again("shop", "shop")
    assert again != "shop"
    assert again == again
    assert len({again, "shop", Again("shop", "shop")}) == 3


def test_no_service_is_lost_when_names_are_made_one_spelling():
    services = {"SHOP": 1, "shop": 2, "shop.": 3, "shop:80": 4, "10.0.0.1": 5, 6: 7}
    assert sorted(named(services).values()) == sorted(services.values())


def test_what_is_no_mapping_stays_as_it_is():
    assert plain("text") == "text"
    assert plain(["TIMEOUT"]) == ["TIMEOUT"]


def test_no_key_is_lost_when_keys_are_lowered():
    assert plain({"A": 1, "a": 2, 5: 3, "B": 4}) == {"a": 2, 5: 3, "A": 1, "b": 4}


def sections(model: type[BaseModel]) -> Iterator[str]:
    """The keys of a model, and of those in it, with a section: what a plugin is told is none, nor is a list."""
    for key, field in model.model_fields.items():
        inner = model_in(field.annotation)
        if inner not in (None, PluginChoice) and get_origin(field.annotation) is not tuple:
            yield key
            yield from sections(inner)


def test_every_section_of_a_policy_is_merged_with_the_defaults():
    assert set(sections(Policy)) == SECTIONS
