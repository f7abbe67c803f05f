"""Ejection of endpoints, and the circuit of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from meshware.settings import grammar, references
from meshware.settings.model import Count, Model, Number, PluginChoice, Seconds, Share


def _refuse_shrinking(base: float, cap: float, what: str) -> None:
    """Times in seconds that grow from `base` to `cap`."""
    if base > cap:
        raise ValueError(f"the first {what} (`base`, {base:g} s) is longer than the longest (`cap`, {cap:g} s)")


class OutlierSettings(Model):
    """Endpoints whose success rate stands out from their fleet's, as in Envoy; `{}` switches it on with its numbers."""

    stdev: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False, strict=True), Number] = Field(
        1.9, description="Standard deviations below the mean of all (Envoy: success_rate_stdev_factor, 1900)."
    )
    hosts: Annotated[int, Field(ge=3, le=1_000_000, strict=True), Number] = Field(
        5, description="Endpoints with so many requests before they are compared (Envoy: success_rate_minimum_hosts)."
    )
    minimum: Count = Field(
        100, description="Requests of an endpoint in ejection's `window` (Envoy: success_rate_request_volume)."
    )

    @model_validator(mode="after")
    def _can_come_true(self) -> OutlierSettings:
        most = (self.hosts - 1) ** 0.5
        if self.stdev >= most:
            raise ValueError(
                f"`stdev` {self.stdev:g} is never reached: of {self.hosts} rates one lies at most {most:.2f} standard "
                "deviations below their mean; a lower `stdev`, or more `hosts`"
            )
        return self


class SlowSettings(Model):
    """Endpoints that answer, but too late too often. Either `seconds` or `p95s` is needed."""

    seconds: Seconds | None = Field(None, description="Seconds to the headers over which a call is slow.")
    p95s: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False, strict=True), Number] | None = Field(
        None, description="Or so many times the p95 of the other endpoints (the median of theirs)."
    )
    share: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False, strict=True), Number] = Field(
        0.5, description="Share of its calls that may be slow (Resilience4j: slowCallRateThreshold)."
    )
    minimum: Annotated[int, Field(ge=1, le=100, strict=True), Number] = Field(
        20, description="Calls of an endpoint in the window before its share counts; of more than 128, the last."
    )
    window: Seconds = Field(10.0, description="Seconds over which the share is taken.")

    @model_validator(mode="after")
    def _one_of_both(self) -> SlowSettings:
        if (self.seconds is None) is (self.p95s is None):
            raise ValueError("either `seconds`, over which a call is slow, or `p95s`, a multiple of the others' p95")
        return self


class EjectionSettings(Model):
    """When an endpoint is taken out, and for how long."""

    enabled: bool = Field(True, description="Whether endpoints are ejected at all.")
    consecutive: Count = Field(3, description="Failures in a row (Envoy: consecutive_5xx, 5).")
    success_rate: Share = Field(0.8, description="Success rate below which it goes (Linkerd: 0.8).")
    minimum: Count = Field(5, description="Requests in the window before the rate counts (Linkerd: 5).")
    window: Seconds = Field(10.0, description="Seconds over which the rate is taken (Linkerd: 10).")
    refused: Count = Field(1, description="Refused connections in a row.")
    connect_timeouts: Count = Field(2, description="Connects in a row that ran out of time.")
    base: Seconds = Field(1.0, description="First ejection in seconds, doubled each time (Linkerd: 1).")
    cap: Seconds = Field(16.0, description="Longest ejection in seconds.")
    jitter: Share = Field(0.25, description="Share by which times are spread, up and down.")
    max_share: Share = Field(0.5, description="Most endpoints out for what they answered, rounded down.")
    probe_interval: Seconds = Field(1.0, description="Seconds between background connects to an ejected one.")
    outliers: OutlierSettings | None = Field(
        None, description="Whose success rate stands out from the fleet's goes; off unless set."
    )
    slow: SlowSettings | None = Field(None, description="Who answers too late too often goes; off unless set.")

    @model_validator(mode="after")
    def _grows(self) -> EjectionSettings:
        _refuse_shrinking(self.base, self.cap, "ejection")
        return self


def _breaker(value: Any) -> Any:
    """None, a breaker of the user's own, or the choice of a plugin; a name without a colon is a plugin's."""
    if value is None or isinstance(value, PluginChoice):
        return value
    if not isinstance(value, Mapping) and (not isinstance(value, str) or ":" in value):
        return references.own_breaker(value)
    try:
        choice = PluginChoice.model_validate(value)
    except ValidationError as error:
        raise grammar.Refused("a breaker's name, or `{name: {settings}}`") from error
    return references.breaker(choice)


class CircuitSettings(Model):
    """When a whole service's calls are refused."""

    enabled: bool = Field(True, description="Whether it opens by these rules.")
    calls: Count = Field(20, description="Calls in a row without a success.")
    span: Seconds = Field(2.0, description="Seconds that such a row must have lasted.")
    base: Seconds = Field(1.0, description="Seconds open before the first trial, doubled each time.")
    cap: Seconds = Field(30.0, description="Longest time open in seconds.")
    jitter: Share = Field(0.25, description="Share by which times are spread, up and down.")
    failure_rate: Share | None = Field(None, description="Share of failures that opens it; off unless set.")
    minimum: Count = Field(20, description="Calls in the window before the rate counts.")
    window: Seconds = Field(10.0, description="Seconds over which the rate is taken.")
    breaker: Annotated[Any, PlainValidator(_breaker), WithJsonSchema({"type": ["string", "object", "null"]})] = Field(
        None,
        description="A `pybreaker.CircuitBreaker` of your own, or its import path `module:name`: its `fail_max`, "
        "`reset_timeout`, listeners and storage hold beside the rules above. Or a plugin's name, or "
        "`{name: {settings}}`: that decides in place of the rules above.",
    )

    @model_validator(mode="after")
    def _grows(self) -> CircuitSettings:
        _refuse_shrinking(self.base, self.cap, "opening")
        return self
