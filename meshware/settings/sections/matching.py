"""Which calls a route is for."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from meshware.settings import grammar, patterns, references
from meshware.settings.model import Model, Number


def _written(pattern: Any) -> str | None:
    return None if pattern is None else str(pattern.text)


def _if_any(check: Any) -> PlainValidator:
    return PlainValidator(lambda value: None if value is None else check(value))


TEXT = WithJsonSchema({"type": ["string", "null"]})
Regex = Annotated[Any, _if_any(patterns.pattern), PlainSerializer(_written), TEXT]
Captures = Annotated[
    Any, PlainValidator(patterns.captures), PlainSerializer(_written), WithJsonSchema({"type": "string"})
]
Name = Annotated[str, BeforeValidator(grammar.service_name)]
PlainPath = Annotated[str, AfterValidator(grammar.plain_path)]
Moment = Annotated[
    Any,
    _if_any(grammar.moment),
    WithJsonSchema({"type": ["string", "null"], "format": "date-time"}),
]
Whole = Annotated[int, Field(ge=-(10**17), le=10**17, strict=True), Number]
Percentage = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, strict=True), Number]


def only_one(model: Model, names: tuple[str, ...]) -> None:
    """Raises ValueError unless exactly one of these keys says something."""
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        raise ValueError(f"exactly one of {', '.join(f'`{name}`' for name in names)}")


def _by_text(data: Any) -> Any:
    """A text stands for its `exact`."""
    return {"exact": data} if isinstance(data, str) else data


class TextMatchSettings(Model):
    """What a text has to be: exactly one of the first seven."""

    exact: str | None = Field(None, description="It is this, character by character.")
    prefix: Annotated[str, Field(min_length=1)] | None = Field(None, description="It begins with this.")
    suffix: Annotated[str, Field(min_length=1)] | None = Field(None, description="It ends with this.")
    contains: Annotated[str, Field(min_length=1)] | None = Field(None, description="This is in it.")
    regex: Regex = Field(None, description="All of it matches this regular expression (see docs/routing.md).")
    range: tuple[Whole, Whole] | None = Field(
        None, description="It is a whole number from the first of two on, below the second."
    )
    present: bool | None = Field(None, description="Whether it is there at all.")
    invert: bool = Field(False, description="The opposite; of what is not there that does not hold either (Envoy).")
    missing_as_empty: bool = Field(False, description="What is not there counts as empty.")

    _from_text = model_validator(mode="before")(_by_text)

    @model_validator(mode="after")
    def _is_one_thing(self) -> TextMatchSettings:
        only_one(self, ("exact", "prefix", "suffix", "contains", "regex", "range", "present"))
        if self.range is not None and self.range[0] >= self.range[1]:
            raise ValueError("a range whose second number, where it ends, is more than its first")
        if self.present is not None and self.missing_as_empty:
            raise ValueError("`missing_as_empty` means nothing beside `present`")
        return self


class PathMatchSettings(Model):
    """What the path has to be, without the query, as it was sent: exactly one of the first five."""

    exact: PlainPath | None = Field(None, description="It is this.")
    prefix: PlainPath | None = Field(None, description="It begins with this: `/v2` is the beginning of `/v20` too.")
    separated_prefix: Annotated[str, AfterValidator(grammar.separated_prefix)] | None = Field(
        None, description="It is this, or goes on with a slash after it: `/v2` is none of `/v20`."
    )
    template: Annotated[str, AfterValidator(grammar.template)] | None = Field(
        None, description="`/items/{id}`: a variable is a whole segment; `{rest=**}`, at the end, is all that is left."
    )
    regex: Regex = Field(None, description="All of it matches this regular expression.")
    ignore_case: bool = Field(False, description="Upper or lower case does not matter; not of `template` or `regex`.")

    _from_text = model_validator(mode="before")(_by_text)

    @model_validator(mode="after")
    def _is_one_thing(self) -> PathMatchSettings:
        only_one(self, ("exact", "prefix", "separated_prefix", "template", "regex"))
        if self.ignore_case and (self.template is not None or self.regex is not None):
            raise ValueError("`ignore_case` goes with `exact`, `prefix` or `separated_prefix`")
        return self


def _header_name(name: str) -> str:
    grammar.header(name)
    return name.lower()


class MatchSettings(Model):
    """Which calls a route is for: those for which all of this is so."""

    service: Name = Field(description="The service that is called.")
    methods: tuple[Annotated[str, AfterValidator(str.upper)], ...] | None = Field(None, description="Their methods.")
    path: PathMatchSettings | None = Field(None, description="Their path; a text is that path and no other.")
    headers: dict[Annotated[str, AfterValidator(_header_name)], TextMatchSettings] = Field(
        {}, description="Their headers; a text is that value."
    )
    query: dict[str, TextMatchSettings] = Field(
        {}, description="Their query parameters, undecoded, the first of each name; a text is that value."
    )
    identity: TextMatchSettings | None = Field(
        None,
        description="Who has made the inbound request that they are made for: the name in `x-meshware-caller`, if one "
        "of `trusted_peers` says it.",
    )
    locality: str | None = Field(
        None, description="Where this process runs: the mesh's `locality` is this, or is within it."
    )
    percentage: Percentage = Field(100.0, description="Of the calls for which all else is so, by chance.")
    since: Moment = Field(None, description="From when on: a time with its offset from UTC.")
    until: Moment = Field(None, description="Until when.")
    predicate: Annotated[Any, PlainValidator(references.predicate), TEXT] = Field(
        None,
        description="A function `(context, request)`, its import path `module:name`, or the name that "
        "`@meshware.predicate` gave it. One that raises says no.",
    )

    @model_validator(mode="after")
    def _can_be(self) -> MatchSettings:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise ValueError("`since` is before `until`")
        if self.methods == ():
            raise ValueError("`methods` names at least one, or is left out")
        return self
