"""Models of sections that most settings do not have: imported when settings first have one.

A model costs every worker that imports it 20 to 80 KiB. Errors, reference and JSON Schema are as if it had been there.
"""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any, get_args

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

SECTIONS = "meshware.settings.sections"


class Late:
    """Stands for a model in an annotation."""

    def __init__(self, section: str, name: str) -> None:
        self._section, self._name = section, name

    def model(self) -> type[BaseModel]:
        """The model, imported by now."""
        found: type[BaseModel] = getattr(import_module(f"{SECTIONS}.{self._section}"), self._name)
        return found

    def _validated(self, value: Any) -> BaseModel:
        return self.model().model_validate(value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        # within `definitions`, so that it becomes one: a definition of its own, to which this field refers
        return handler(core_schema.definitions_schema(self.model().__pydantic_core_schema__, []))


def late(section: str, name: str) -> Any:
    """The annotation of a field whose model is imported late; type checkers are to be shown the model itself."""
    return Annotated[Any, Late(section, name)]


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `tuple[M, ...]`, `dict[str, M]` or `M | None`."""
    if isinstance(annotation, Late):
        return annotation.model()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := model_in(each)) is not None), None)
