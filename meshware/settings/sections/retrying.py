"""Retries, what they are paid from, and hedges."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from meshware.settings import references
from meshware.settings.model import Model, Number, Seconds, Share


class BudgetSettings(Model):
    """What retries are paid from."""

    ratio: Share = Field(0.2, description="Tokens earned per success (Finagle and Linkerd: 20 %).")
    minimum: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False, strict=True), Number] = Field(
        2.0, description="Tokens to start with, and room kept for at least so many."
    )
    window: Seconds = Field(10.0, description="Seconds of calls that the capacity follows.")


class RouteRetrySettings(Model):
    """When the calls of a route are sent again."""

    attempts: Annotated[int, Field(ge=1, le=10, strict=True), Number] = Field(
        2, description="Attempts in all; 1 is no retry (Envoy's num_retries 1 is 2 here)."
    )
    base: Seconds = Field(0.025, description="Back-off base in seconds, full jitter (Envoy: 25 ms).")
    cap: Seconds = Field(0.25, description="Longest back-off in seconds (Envoy: 10 x base).")
    methods: tuple[Annotated[str, AfterValidator(str.upper)], ...] = Field(
        ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"),
        description="Methods that may be sent twice after bytes may have arrived (RFC 9110, 9.2.2).",
    )
    statuses: tuple[Annotated[int, Field(ge=400, le=599, strict=True), Number], ...] = Field(
        (429, 502, 503, 504), description="Answers that are tried elsewhere (Envoy: gateway-error)."
    )
    on: tuple[Annotated[str, AfterValidator(references.condition)], ...] = Field(
        ("connect-failure", "reset", "retriable-status-codes"),
        description="After what, in Envoy's words: `5xx` (and no answer at all), `gateway-error` (502, 503, 504), "
        "`connect-failure`, `reset` (no answer: broken or late), `reset-before-request` (nothing was sent), "
        "`retriable-status-codes` (with `statuses`), `retriable-headers` (with `headers`). `methods` hold for all.",
    )
    headers: tuple[Annotated[str, AfterValidator(str.lower)], ...] = Field(
        (), description="Names of headers: a failed answer that has one is tried elsewhere, by `retriable-headers`."
    )

    @model_validator(mode="before")
    @classmethod
    def _off(cls, data: Any) -> Any:
        return {"attempts": 1} if data is False else data

    @model_validator(mode="after")
    def _conditions_have_what_they_need(self) -> Self:
        if bool(self.headers) != ("retriable-headers" in self.on):
            raise ValueError("`headers` and `retriable-headers` in `on` go together")
        if "statuses" in self.model_fields_set and "retriable-status-codes" not in self.on:
            raise ValueError("`statuses` go with `retriable-status-codes` in `on`")
        return self


class RetrySettings(RouteRetrySettings):
    """When a call is sent again."""

    budget: BudgetSettings = Field(BudgetSettings(), description="What retries are paid from, per service.")


class HedgeSettings(Model):
    """When a second copy of a call goes out beside the first; the first good answer is delivered, the other cut."""

    enabled: bool = Field(True, description="Whether calls are hedged at all.")
    factor: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False, strict=True), Number] = Field(
        1.5, description="Times the operation's p95 after which the copy goes out, once 100 answers are known."
    )
    least: Seconds = Field(0.01, description="Seconds that the first has at least.")
    share: Share = Field(
        0.02,
        description="What copies may add to the load at most, each reckoned at the time after which it goes out; "
        "they are paid from the retry budget beside that (Finagle: 1 % of the calls).",
    )
    methods: tuple[Annotated[str, AfterValidator(str.upper)], ...] = Field(
        ("GET", "HEAD"), description="Methods of which two may be out at once. What has a body never is."
    )

    @model_validator(mode="before")
    @classmethod
    def _switched(cls, data: Any) -> Any:
        return {"enabled": data} if isinstance(data, bool) else data
