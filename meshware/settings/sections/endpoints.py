"""Endpoints, which of them are asked first, and how they are verified."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    model_validator,
)

from meshware.settings import grammar
from meshware.settings.model import Model, Number, Path, SecondsOrNone, Weight


class EndpointSettings(Model):
    """One endpoint: an address and what is known of it."""

    address: Annotated[str, AfterValidator(grammar.address)] = Field(description="`host:port`; IPv6 as `[::1]:8000`.")
    weight: Weight = Field(1.0, description="Share of the traffic beside the others; 0 takes none.")
    locality: str = Field("", description="`cloud/region/zone`, as many parts as are known.")
    metadata: dict[str, Any] = Field({}, description="Anything; strategies may read it.")
    priority: Annotated[int, Field(ge=0, le=65_535, strict=True), Number] = Field(
        0, description="Lower is preferred: a higher one is for what the lower cannot do (see `locality`)."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"address": data} if isinstance(data, str) else data

    @classmethod
    def read(cls, entry: Any) -> EndpointSettings:
        """One that a discovery has found. Raises ValueError with the first thing that is wrong, in one line."""
        try:
            return cls.model_validate(entry)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{where}: {first['msg']}" if where else first["msg"]) from None


class LocalitySettings(Model):
    """Which of its endpoints are asked first, by where they are."""

    mode: Literal["prefer", "weighted", "off"] = Field(
        "prefer",
        description="`prefer`: the nearest, seen from the mesh's `locality`; as much as they cannot do moves on. "
        "`weighted`: by `weights`. `off`: all alike, whatever their locality and priority.",
    )
    overprovisioning: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False, strict=True), Number] = Field(
        1.4,
        description="A priority, or a weighted locality, keeps all its traffic while its health x this is 1 (Envoy). "
        "A nearest level that loses endpoints gets its health x this at first; then its pressure decides.",
    )
    hold: SecondsOrNone = Field(
        5.0, description="Seconds that what is better must have been so before traffic moves back."
    )
    weights: dict[str, Weight] = Field(
        {},
        description="Of `weighted`: weights by locality, or by what localities begin with; those not named get none.",
    )

    @model_validator(mode="after")
    def _weights_have_a_use(self) -> LocalitySettings:
        if self.mode == "weighted" and not any(self.weights.values()):
            raise ValueError("mode `weighted` needs `weights`, at least one of them more than 0")
        if self.mode != "weighted" and self.weights:
            raise ValueError("`weights` go with mode `weighted`")
        return self


class TlsSettings(Model):
    """How `https://<name>` is verified. The logical name is what the certificate must be for."""

    ca: Path | None = Field(None, description="Path of a CA bundle; the client's own when not set.")
    cert: Path | None = Field(None, description="Path of the client certificate (PEM).")
    key: Path | None = Field(None, description="Path of its key (PEM), when not in `cert`.")
    server_name: Annotated[str, AfterValidator(grammar.tls_name)] | None = Field(
        None, description="Name to verify instead of the service's."
    )

    @model_validator(mode="after")
    def _key_needs_cert(self) -> TlsSettings:
        if self.key is not None and self.cert is None:
            raise ValueError("key without cert")
        return self
