"""What all models of settings are: strict, frozen, keys in any case; and the kinds of numbers that they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from meshware import plugins
from meshware.settings import grammar, references, shape

Number = BeforeValidator(grammar.no_bool)
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False, strict=True), Number]
SecondsOrNone = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False, strict=True), Number]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True), BeforeValidator(grammar.share), Number]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True), Number]
Count = Annotated[int, Field(ge=1, le=1_000_000, strict=True), Number]
POSITIVE_SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": grammar.LONGEST}
Path = Annotated[str, AfterValidator(references.path)]


class Model(BaseModel):
    """Frozen, nothing unknown, keys in any case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _lower_keys(cls, data: Any) -> Any:
        return shape.plain(data) if isinstance(data, Mapping) else data

    def in_full(self) -> str:
        """As a text that is the same in all workers that have the same ones; metadata may be of any kind."""
        return self.model_dump_json(fallback=lambda each: type(each).__qualname__)


class PluginChoice(Model):
    """A plugin by its name, with its own settings."""

    name: str = Field(description="A name that is installed or registered; `meshware plugins` lists them.")
    options: dict[str, Any] = Field({}, description="Its keyword settings.")

    _short = model_validator(mode="before")(plugins.choice)
