"""Faults on purpose."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from meshware.settings import grammar
from meshware.settings.model import POSITIVE_SECONDS, Model, Number, Seconds


class WhenSettings(Model):
    """Which calls a fault is for: those for which all of this is so."""

    methods: tuple[Annotated[str, AfterValidator(str.upper)], ...] | None = Field(None, description="Their methods.")
    path: Annotated[str, Field(pattern="^/")] = Field("/", description="What their path begins with.")
    headers: dict[str, str] = Field({}, description="Their headers and the values of these; `*` for any value.")


class FaultSettings(Model):
    """Something that goes wrong on purpose with a service's calls: exactly one of the first four."""

    delay: Seconds | None = Field(None, description="Seconds that pass first; several delays add up.")
    abort: Annotated[int, Field(ge=400, le=599, strict=True), Number] | None = Field(
        None, description="The status that is answered, and nothing is sent."
    )
    reset: bool = Field(False, description="The connection breaks, and nothing is sent.")
    partial_body: Annotated[int, Field(ge=0, le=1_073_741_824, strict=True), Number] | None = Field(
        None, description="Bytes after which the body of a real answer breaks off."
    )
    percentage: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, strict=True), Number] = Field(
        100.0, description="Of the calls that it is for."
    )
    when: WhenSettings = Field(WhenSettings(), description="Which calls it is for; all unless set.")
    until: Annotated[
        Any,
        PlainValidator(grammar.end_time),
        WithJsonSchema({"anyOf": [POSITIVE_SECONDS, {"type": "string", "format": "date-time"}, {"type": "null"}]}),
    ] = Field(
        None, description="When it ends: seconds from the load of these settings, or a time with its offset from UTC."
    )
    counts: bool = Field(
        False,
        description="Whether the endpoint seems to have done it: attempts are retried, endpoints ejected. "
        "Otherwise it befalls the call as a whole, and nothing is learned from it.",
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> FaultSettings:
        given = (self.delay is not None, self.abort is not None, self.reset, self.partial_body is not None)
        if sum(given) != 1:
            raise ValueError("exactly one of `delay`, `abort`, `reset` and `partial_body`")
        return self
