"""Active health checks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from meshware.settings import grammar, references
from meshware.settings.model import Count, Model, Number, Seconds

_STATUS = WithJsonSchema({"type": ["integer", "string"]})


class HttpCheckSettings(Model):
    """A health check by HTTP; over TLS where the service has `tls`."""

    path: Annotated[str, AfterValidator(grammar.target)] = Field("/", description="Path that is asked for.")
    method: Literal["GET", "HEAD", "OPTIONS", "POST"] = Field("GET", description="Method; POST has an empty body.")
    host: Annotated[str, AfterValidator(grammar.http_name)] | None = Field(
        None, description="Host header: a name, `logical` or `endpoint`; that of the service's calls unless set."
    )
    expected: Annotated[
        tuple[Annotated[tuple[int, int], PlainValidator(grammar.statuses), _STATUS], ...],
        AfterValidator(grammar.some),
    ] = Field(
        ((200, 200),),
        description="Good statuses: `200`, or a range `200-299`. Any other one is unhealthy at once (Envoy).",
    )
    headers: Annotated[dict[str, str], AfterValidator(grammar.headers)] = Field(
        {}, description="Further headers of the request."
    )


class HealthCheckSettings(Model):
    """Asks each endpoint whether it is well, off the calls' path. One of `http`, `tcp` and `call` is needed."""

    http: HttpCheckSettings | None = Field(None, description="By a request.")
    tcp: bool = Field(False, description="By a connection, and with `tls` its handshake.")
    call: Annotated[Any, PlainValidator(references.check), WithJsonSchema({"type": ["string", "null"]})] = Field(
        None,
        description="By a function of yours, or its import path `module:name`: it gets the endpoint (`address`, "
        "`metadata`) and says whether that is well, on a thread, within `timeout` seconds.",
    )
    interval: Annotated[float, Field(ge=0.1, le=86_400, allow_inf_nan=False, strict=True), Number] = Field(
        5.0, description="Seconds between two checks of an endpoint, +-25 %."
    )
    timeout: Seconds = Field(1.0, description="Seconds that a check may take; one that takes longer has failed.")
    healthy: Count = Field(2, description="Checks in a row after which it is back; the first ever is enough by itself.")
    unhealthy: Count = Field(3, description="Checks in a row that failed after which it is out.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        return {"tcp": True} if data == "tcp" else data

    @model_validator(mode="after")
    def _one_way_in_time(self) -> HealthCheckSettings:
        if [self.http is not None, self.tcp, self.call is not None].count(True) != 1:
            raise ValueError("one of `http` (a section), `tcp` (true) and `call` (a function), and only one")
        if self.timeout > self.interval:
            raise ValueError(
                f"a check may take longer (`timeout`, {self.timeout:g} s) than there is between two of them "
                f"(`interval`, {self.interval:g} s)"
            )
        return self
