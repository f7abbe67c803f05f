"""Calls that are refused before anything is sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import (
    Field,
    model_validator,
)

from meshware.settings.model import Count, Model, Number, Seconds, Share


class LimitSettings(Model):
    """When calls are refused before anything is sent: a guard against an overload that feeds on itself."""

    enabled: bool = Field(True, description="Whether calls in flight are limited at all.")
    start: Count = Field(
        50, description="Calls in flight that are let out before anything is learned, or after a silence."
    )
    least: Count = Field(2, description="The limit is never less.")
    tolerance: Annotated[float, Field(gt=1, le=1000, allow_inf_nan=False, strict=True), Number] = Field(
        3.0, description="Answers slower than so many medians lower the limit."
    )
    success_rate: Share = Field(0.9, description="Over one second; the limit refuses only while there is less,")
    patience: Share = Field(
        0.6,
        description="or while what is in flight will take so large a share of a new call's deadline to be answered.",
    )
    feasible: bool = Field(
        True,
        description="Whether a call is refused, by `DeadlineExceeded`, whose deadline leaves less than the last "
        "answers of its operation took (their 20th percentile). Only a deadline that somebody set counts.",
    )

    @model_validator(mode="after")
    def _starts_at_least_there(self) -> LimitSettings:
        if self.start < self.least:
            raise ValueError(f"`start` ({self.start}) is below `least` ({self.least}), which the limit never is")
        return self


class RouteLimitSettings(Model):
    """How many of a route's calls there may be at once: one that hangs leaves room for the others."""

    in_flight: Count = Field(
        description="Calls in flight; further ones are refused by `Overloaded`, and wait for none."
    )


class ThrottleSettings(Model):
    """When a client refuses by itself what a service would refuse, for services that are not ours (Google SRE book)."""

    enabled: bool = Field(False, description="Whether calls are throttled when the service says that it is overloaded.")
    k: Annotated[float, Field(ge=1.1, le=100, allow_inf_nan=False, strict=True), Number] = Field(
        2.0,
        description="Calls let out for each that is accepted (SRE book: 2). What is let out can grow by this factor in "
        "a window: nearer to 1 it hardly recovers.",
    )
    window: Annotated[Seconds, Field(ge=0.1)] = Field(2.0, description="Seconds after which a call counts half.")


class RateSettings(Model):
    """How many calls a second."""

    rate: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True), Number] = Field(
        description="Calls a second in the long run; 0.1 is one in ten seconds."
    )
    burst: Count = Field(description="Calls at once, after a rest.")
