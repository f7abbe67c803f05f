"""Several refusals at once from one validator, each with its own place below the one that is validated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from meshware.settings.grammar import Refused
from meshware.settings.origin import Location


class Refusal(NamedTuple):
    """What is wrong at a place, and what stands there."""

    at: Location
    value: Any
    error: Refused


def refuse(refusals: Iterable[Refusal], others: ValidationError | None = None) -> NoReturn:
    """Raises the ValidationError of all these, and of what another one has found already."""
    found = [] if others is None else [_kept(each) for each in others.errors()]
    found += [_details(each) for each in refusals]
    raise ValidationError.from_exception_data("settings", found)


def _details(refusal: Refusal) -> InitErrorDetails:
    kind = PydanticCustomError("value_error", "{error}", {"error": refusal.error})
    return InitErrorDetails(type=kind, loc=refusal.at, input=refusal.value)


def _kept(error: Any) -> InitErrorDetails:
    kind = PydanticCustomError(error["type"], "{text}", {"text": error["msg"], **error.get("ctx", {})})
    return InitErrorDetails(type=kind, loc=error["loc"], input=error["input"])
