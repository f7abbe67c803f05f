"""The reference of the settings, made from the models: a page for people and a JSON Schema for tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from meshware.settings import profiles
from meshware.settings.schema import MeshSettings

Schema = dict[str, Any]

PLUGIN = "PluginChoice"

_NEVER: Schema = {"const": False, "description": "never"}
_WHETHER: Schema = {"type": "boolean", "description": "whether, with the defaults"}
_EXACT: Schema = {"type": "string", "description": "the `exact` one"}

SHORT: dict[str, list[Schema]] = {
    "EndpointSettings": [{"type": "string", "description": "`host:port`"}],
    **{name: [_WHETHER] for name in ("LastGoodSettings", "HedgeSettings")},
    **{name: [_NEVER] for name in ("RetrySettings", "RouteRetrySettings", "FallbackSettings")},
    **{name: [_EXACT] for name in ("TextMatchSettings", "PathMatchSettings")},
    "HealthCheckSettings": [{"const": "tcp", "description": "a connection"}],
    PLUGIN: [
        {"type": "string", "description": "its name"},
        {"type": "object", "minProperties": 1, "maxProperties": 1, "description": "`{name: {option: value}}`"},
    ],
}
"""What may also be written in place of a whole section."""


def json_schema() -> Schema:
    """The JSON Schema (2020-12) of the settings, their short forms included."""
    schema = MeshSettings.model_json_schema()
    for name, forms in SHORT.items():
        schema["$defs"][name] = {"anyOf": [*forms, schema["$defs"][name]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema


def markdown(root: type[BaseModel] = MeshSettings) -> str:
    """One table per section of the settings, or of another model: key, type, default, meaning."""
    schema = root.model_json_schema()
    models = schema["$defs"]
    named: dict[str, list[str]] = {}
    for heading, name in _below("", schema, models):  # one that several keys have is shown once
        named.setdefault(name, []).append(heading)
    sections = [("At the top", schema), *((", ".join(headings), models[name]) for name, headings in named.items())]
    if PLUGIN in models:
        sections.append(("Where a plugin is named", models[PLUGIN]))
    pages = [_section(heading, model, models) for heading, model in sections]
    if root is MeshSettings:
        pages.append(f"## What a `profile` sets\n\n{profiles.markdown()}")
    return "\n".join(pages)


def _below(path: str, model: Schema, models: dict[str, Schema]) -> Iterator[tuple[str, str]]:
    for key, field in model["properties"].items():
        below = _reference(field)
        if below in (None, PLUGIN) or key == "defaults":  # those are a service's, and are shown there
            continue
        several = {"object": ".<name>", "array": "[]"}.get(field.get("type", ""), "")
        deeper = f"{path}.{key}{several}".lstrip(".")
        yield f"`{deeper}`", str(below)
        yield from _below(deeper, models[str(below)], models)


def _section(heading: str, model: Schema, models: dict[str, Schema]) -> str:
    fields, needed = model["properties"], model.get("required", ())
    first = sorted(fields, key=lambda key: key not in needed)
    rows = [_row(key, fields[key], models, needed=key in needed) for key in first]
    return "\n".join([f"## {heading}", "", model["description"], "", *_HEAD, *rows, ""])


_HEAD = ("| key | type | default | meaning |", "|---|---|---|---|")


def _row(key: str, field: Schema, models: dict[str, Schema], *, needed: bool) -> str:
    below = _reference(field)
    meaning = field.get("description") or models[below or ""]["description"]  # left out where both are the same
    default = "needed" if needed else _default(field)
    return f"| `{key}` | {_type(field)} | {default} | {meaning} |".replace("\n", " ")


def _default(field: Schema) -> str:
    default = field.get("default")
    if isinstance(default, dict) and "name" in default:
        return f"`{default['name']}`"
    if default is None:
        return "none"
    if isinstance(default, list) and any(isinstance(each, dict) for each in default):
        return "one, of defaults"
    return "" if isinstance(default, dict) and default else f"`{json.dumps(default)}`"


def _type(field: Schema) -> str:
    """In words: `number (more than 0, at most 10) or none`."""
    if "anyOf" in field:
        return " or ".join(_type(each) for each in field["anyOf"])
    if "$ref" in field:
        return "name or section" if field["$ref"].endswith("Choice") else "section"
    if "const" in field:
        return f"`{field['const']}`"
    if "enum" in field:
        return " or ".join(f"`{each}`" for each in field["enum"])
    kind = field.get("type", "anything")
    if kind == "array":
        if "prefixItems" in field:
            return f"list of {len(field['prefixItems'])}: {_type(field['prefixItems'][0])} each"
        return f"list of {_type(field['items'])}"
    if kind == "object":
        inner = field.get("additionalProperties")
        return f"dict of {_type(inner)}" if isinstance(inner, dict) else "dict"
    words = {
        "null": "none", "integer": "whole number", "boolean": "true or false", "string": "text", "object": "dict",
    }  # fmt: skip
    kinds = " or ".join(words.get(each, each) for each in ([kind] if isinstance(kind, str) else kind))
    bounds = ", ".join(_bounds(field))
    return f"{kinds} ({bounds})" if bounds else kinds


def _bounds(field: Schema) -> Iterator[str]:
    for name, words in (("exclusiveMinimum", "more than"), ("minimum", "at least"), ("maximum", "at most")):
        if name in field:
            yield f"{words} {field[name]:g}"


def _reference(field: Schema) -> str | None:
    """The name of the model inside a field, behind a list, a dict or an alternative."""
    if "$ref" in field:
        name: str = field["$ref"].rpartition("/")[2]
        return name
    inner = [*field.get("anyOf", ()), field.get("items"), field.get("additionalProperties")]
    return next((found for each in inner if isinstance(each, dict) and (found := _reference(each)) is not None), None)
