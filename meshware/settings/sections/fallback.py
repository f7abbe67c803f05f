"""What stands in for a failed call."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from meshware.settings import grammar, references
from meshware.settings.model import Count, Model, Number, Seconds


class StaticFallback(Model):
    """A fixed answer."""

    status: Annotated[int, Field(ge=200, le=599, strict=True), Number] = Field(200, description="Its status.")
    headers: Annotated[dict[str, str], AfterValidator(grammar.headers)] = Field(
        {}, description="Its headers; `Content-Type` follows the body unless set."
    )
    body: Any = Field(None, description="Text as it is, anything else as JSON; none unless set.")

    @model_validator(mode="after")
    def _can_be_sent(self) -> StaticFallback:
        grammar.as_json(self.body)
        return self


class LastGoodSettings(Model):
    """Good answers kept for when there is none: of GET and HEAD, unless they are marked as not to be stored."""

    age: Seconds = Field(300.0, description="Seconds after which an answer is not used any more.")
    entries: Count = Field(1000, description="Answers that are kept at most; the longest unused make room.")
    answer_bytes: Annotated[int, Field(ge=1, le=16_777_216, strict=True), Number] = Field(
        65_536, description="Bytes of a body that is kept at most."
    )
    total_bytes: Annotated[int, Field(ge=1, le=1_073_741_824, strict=True), Number] = Field(
        4_194_304, description="Bytes of all that is kept, per process."
    )
    private: bool = Field(
        False,
        description="Also answers marked `private` or with `Set-Cookie` (left out later), and those to requests with "
        "`Authorization` or `Cookie`, each for the same credentials only.",
    )


def _switch(value: Any) -> Any:
    return {} if value is True else None if value is False else value


class FallbackSettings(Model):
    """What a caller gets in place of a failure: the first of these that has something."""

    enabled: bool = Field(True, description="Whether anything stands in for a failure.")
    last_good: Annotated[LastGoodSettings | None, BeforeValidator(_switch)] = Field(
        None, description="The last good answer of the same method, URL and varying headers; `true` for the defaults."
    )
    callable: Annotated[Any, PlainValidator(references.function), WithJsonSchema({"type": ["string", "null"]})] = Field(
        None,
        description="A function, or its import path `module:name`: given the request, the error or the outcome, and "
        "the context, it gives a body or a `Reply`, or None for none. May be async where the client is.",
    )
    static: StaticFallback | None = Field(None, description="A fixed answer.")
    statuses: tuple[Annotated[int, Field(ge=400, le=599, strict=True), Number], ...] = Field(
        (502, 503, 504), description="Final answers that are replaced."
    )
    errors: bool = Field(True, description="Whether errors are: timeouts, broken connections, refusals of the mesh.")
    methods: tuple[Annotated[str, AfterValidator(str.upper)], ...] = Field(
        ("GET", "HEAD"), description="Methods of calls that are covered."
    )

    @model_validator(mode="before")
    @classmethod
    def _off(cls, data: Any) -> Any:
        return {"enabled": False} if data is False else data

    @model_validator(mode="after")
    def _has_something(self) -> FallbackSettings:
        if self.enabled and self.last_good is None and self.callable is None and self.static is None:
            raise ValueError("a fallback needs `last_good`, `callable` or `static`")
        return self
