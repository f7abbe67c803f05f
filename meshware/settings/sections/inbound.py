"""Requests that are refused before the app works on them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    model_validator,
)

from meshware.settings import grammar
from meshware.settings.model import Count, Model, Number, Seconds
from meshware.settings.sections.limiting import RateSettings

PathPrefix = Annotated[str, AfterValidator(grammar.path_prefix)]


class InboundLimitSettings(Model):
    """How many requests one worker process works on at once: a number, or a kind, or a section."""

    kind: Literal["off", "fixed", "aimd", "gradient"] = Field(
        "off",
        description="`fixed`: `start` of them. `aimd`: one more while answers are good, a tenth less when one is late. "
        "`gradient`: less while answers take longer than usual (Netflix, Gradient2).",
    )
    start: Count = Field(20, description="The limit that is `fixed`, or the first of those that learn (Netflix: 20).")
    least: Count = Field(20, description="The limit is never less; not of `fixed`.")
    most: Count = Field(200, description="The limit is never more; not of `fixed`.")
    timeout: Seconds = Field(5.0, description="Seconds after which an answer is late; of `aimd` only.")
    backoff: Annotated[float, Field(ge=0.5, lt=1, allow_inf_nan=False, strict=True), Number] = Field(
        0.9, description="Factor on the limit after a late answer; of `aimd` only."
    )
    tolerance: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False, strict=True), Number] = Field(
        1.5, description="So many times as long as usual answers may take; of `gradient` only."
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"kind": data}
        return {"kind": "fixed", "start": data} if isinstance(data, int) and not isinstance(data, bool) else data

    @model_validator(mode="after")
    def _means_something(self) -> InboundLimitSettings:
        idle = sorted(self.model_fields_set - {"kind"} - _OF_LIMIT[self.kind])
        if idle:
            raise ValueError(f"`{idle[0]}` means nothing for the kind `{self.kind}`")
        if self.kind == "fixed" and "start" not in self.model_fields_set:
            raise ValueError("`fixed` needs `start`, the number of requests at once")
        if self.kind in ("aimd", "gradient") and not self.least <= self.start <= self.most:
            raise ValueError(
                f"`start` ({self.start}) is not from `least` ({self.least}) to `most` ({self.most}), where it stays"
            )
        return self


_LEARNED = {"start", "least", "most"}


_OF_LIMIT: dict[str, set[str]] = {
    "off": set(), "fixed": {"start"}, "aimd": _LEARNED | {"timeout", "backoff"}, "gradient": _LEARNED | {"tolerance"},
}  # fmt: skip
"""What each kind of limit has besides its kind."""


class InboundQueueSettings(Model):
    """When requests are refused that have waited too long before they reached us (CoDel)."""

    enabled: bool = Field(
        False,
        description="Whether what has waited is refused at all. Servers in front among `trusted_peers` say when they "
        "got it, by `X-Request-Start` or `X-Queue-Start`.",
    )
    target: Seconds = Field(0.02, description="Seconds of wait that are no harm (Facebook: 0.005).")
    interval: Seconds = Field(
        0.1, description="Seconds; if in these all have waited longer than `target`, there is a queue that stays."
    )

    @model_validator(mode="after")
    def _looks_longer_than_it_waits(self) -> InboundQueueSettings:
        if self.target >= self.interval:
            raise ValueError(
                f"`target` ({self.target:g} s) is not below `interval` ({self.interval:g} s): a wait that is no harm "
                "is shorter than the time in which a queue should be empty once"
            )
        return self


class InboundRateSettings(RateSettings):
    """How many requests a second one worker process takes."""

    rate: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True), Number] = Field(
        description="Requests a second in the long run; 0.1 is one in ten seconds."
    )
    burst: Count = Field(description="Requests at once, after a rest.")
    prefix: PathPrefix = Field("/", description="Of requests to this path and those below it.")
    by: Literal["caller", "all"] = Field(
        "caller",
        description="`caller`: of each, by the name in `x-meshware-caller` if one of `trusted_peers` says it, else by "
        "the peer's address (of IPv6 its /64). `all`: of all together.",
    )


class InboundSettings(Model):
    """Which requests are refused before the app knows of them: docs/overload.md."""

    limit: InboundLimitSettings = Field(
        InboundLimitSettings(), description="How many requests one worker process works on at once."
    )
    queue: InboundQueueSettings = Field(
        InboundQueueSettings(), description="What becomes of requests that have waited before they reached us."
    )
    feasible: bool = Field(
        True,
        description="Whether a request is refused (504) whose deadline leaves less than the last good answers to its "
        "method and path took (their 20th percentile).",
    )
    rate_limits: tuple[InboundRateSettings, ...] = Field(
        (),
        description="Requests a second; each that one falls under must have room. Refused ones are answered 429.",
    )
    criticality: dict[PathPrefix, Literal["critical", "default", "sheddable"]] = Field(
        {},
        description="How much requests matter, by the longest prefix of their path. What one of `trusted_peers` says "
        "(`x-meshware-criticality`) stands above it.",
    )
    exempt: tuple[PathPrefix, ...] = Field(
        (), description="Paths whose requests are never refused but when they have expired, such as `/healthz`."
    )
