"""The reference is made from the models, so that none of it can be wrong or missing."""

from __future__ import annotations

import json
import pkgutil
import re
from importlib import import_module

import pytest

from meshware.core.errors import SettingsError
from meshware.settings import sections
from meshware.settings.load import load
from meshware.settings.model import Model
from meshware.settings.reference import json_schema, markdown
from meshware.settings.schema import MeshSettings


def below(model):
    """All models that are made of this one."""
    for each in model.__subclasses__():
        yield each
        yield from below(each)


for _module in pkgutil.iter_modules(sections.__path__):  # some are imported late
    import_module(f"{sections.__name__}.{_module.name}")
MODELS = [each for each in below(Model) if each.__module__.startswith("meshware.settings.")]
SECTIONS = [each for each in MODELS if each.__name__ != "Policy"]


@pytest.mark.parametrize("model", SECTIONS, ids=lambda model: model.__name__)
def test_every_key_of_every_section_is_on_the_page(model):
    (page,) = [each for each in re.split("^## ", markdown(), flags=re.MULTILINE) if f"\n\n{model.__doc__}\n\n" in each]
    assert set(re.findall(r"^\| `(\w+)` \|", page, flags=re.MULTILINE)) == set(model.model_fields)


def test_every_row_says_what_it_means():
    sections = markdown().partition("## What a `profile` sets")[0]
    rows = [line for line in sections.splitlines() if line.startswith("| `")]
    assert len(rows) == sum(len(model.model_fields) for model in SECTIONS)
    assert all(len(row.split(" | ")[3]) > 10 for row in rows)


@pytest.mark.parametrize(
    "row",
    [
        "| `timeout` | number (more than 0, at most 86400) | `10.0` |",
        '| `attempt_timeout` | `adaptive` or number (more than 0, at most 86400) or none | `"adaptive"` |',
        "| `guard` | number (more than 0, at most 1) | `0.4` |",
        "| `failure_rate` | number (at least 0, at most 1) or none | none |",
        "| `strategy` | name or section | `adaptive` |",
        "| `endpoints` | list of section | `[]` |",
        "| `address` | text | needed |",
        "| `discovery` | name or section or list of name or section or none | `[]` |",
        "| `observers` | list of name or section | `[]` |",
        "| `breaker` | text or dict or none | none |",
        "| `services` | dict of section | `{}` |",
        "| `trusted_peers` | list of text | `[]` |",
        "| `retry` | section |  | When a call is sent again. |",
        "| `attempts` | whole number (at least 1, at most 10) | `2` |",
    ],
)
def test_a_row_says_type_and_default(row):
    assert f"\n{row}" in markdown()


def one_service(**settings):
    return {"services": {"shop": {"endpoints": ["a:1"], **settings}}}


@pytest.fixture(scope="module")
def accepts():
    """Whether the JSON Schema accepts settings."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema()).is_valid


@pytest.mark.parametrize(
    "settings",
    [
        {},
        one_service(),
        one_service(timeout=1, retry={"attempts": 3, "statuses": [503]}, guard=0.5),
        one_service(strategy="random", attempt_timeout=None, tls=None),
        one_service(strategy={"peak_ewma": {"tau": 5}}, attempt_timeout="adaptive", tls={}),
        one_service(strategy={"random": None}, attempt_timeout=2.5),
        one_service(strategy={"name": "random", "options": {}}, circuit={"breaker": None, "failure_rate": 0.5}),
        {"services": {"shop:80": {"endpoints": [{"address": "a:1", "weight": 2, "metadata": {"x": [1]}}]}}},
        {"service": "shop", "trusted_peers": ["10.0.0.0/8"], "request_timeout": None, "defaults": {"timeout": 1}},
    ],
)
def test_the_json_schema_accepts_what_is_right(accepts, settings):
    load(settings)
    assert accepts(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"servces": {}},
        {"service": 5},
        {"trusted_peers": "10.0.0.0/8"},
        {"defaults": {"endpoints": ["a:1"]}},
        {"services": {"shop": {}}},
        {"services": {"shop": {"endpoints": []}}},
        {"services": {"shop": {"endpoints": [5]}}},
        {"services": {"shop": {"endpoints": [{"address": "a:1", "weight": -2}]}}},
        one_service(timeout=0),
        one_service(timeout="soon"),
        one_service(timeout=True),
        one_service(guard=0),
        one_service(attempt_timeout="adapted"),
        one_service(attempt_timeout=1e9),
        one_service(retry=None),
        one_service(retry={"attempts": 2.5}),
        one_service(retry={"statuses": [200]}),
        one_service(strategy={"random": {}, "peak_ewma": {}}),
        one_service(circuit={"breaker": 5}),
    ],
)
def test_the_json_schema_refuses_what_is_wrong(accepts, settings):
    with pytest.raises(SettingsError):
        load(settings)
    assert not accepts(settings)


def test_the_json_schema_knows_every_key_and_the_short_forms():
    made = json_schema()
    assert json.loads(json.dumps(made)) == made
    assert set(made["properties"]) == set(MeshSettings.model_fields)
    assert {"type": "string", "description": "`host:port`"} in made["$defs"]["EndpointSettings"]["anyOf"]
    assert [form["type"] for form in made["$defs"]["PluginChoice"]["anyOf"]] == ["string", "object", "object"]
    service = made["$defs"]["ServiceSettings"]
    assert (len(service["oneOf"]), service["additionalProperties"]) == (2, False)
    assert service["properties"]["endpoints"]["minItems"] == 1
    assert service["properties"]["timeout"]["exclusiveMinimum"] == 0
