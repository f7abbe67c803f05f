"""The models ARE the settings: what may be written, its default, its unit, and what it means.

Every field is read by assembly or a door; the reference page and the JSON Schema are made from here.
Keys may be written in upper case; the keys of `services` and `metadata` are data and stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
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
_POSITIVE_SECONDS = {"type": "number", "exclusiveMinimum": 0, "maximum": grammar.LONGEST}
Path = Annotated[str, AfterValidator(references.path)]
_STATUS = WithJsonSchema({"type": ["integer", "string"]})
ClassifierChoice = Annotated[Any, PlainValidator(references.classifier), WithJsonSchema({"type": ["string", "null"]})]


class Model(BaseModel):
    """Frozen, nothing unknown, keys in any case."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _lower_keys(cls, data: Any) -> Any:
        return shape.plain(data) if isinstance(data, Mapping) else data


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


class PluginChoice(Model):
    """A plugin by its name, with its own settings."""

    name: str = Field(description="A name that is installed or registered; `meshware plugins` lists them.")
    options: dict[str, Any] = Field({}, description="Its keyword settings.")

    _short = model_validator(mode="before")(plugins.choice)


class BudgetSettings(Model):
    """What retries are paid from."""

    ratio: Share = Field(0.2, description="Tokens earned per success (Finagle and Linkerd: 20 %).")
    minimum: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False, strict=True), Number] = Field(
        2.0, description="Tokens to start with, and room kept for at least so many."
    )
    window: Seconds = Field(10.0, description="Seconds of calls that the capacity follows.")


class RetrySettings(Model):
    """When a call is sent again."""

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
    budget: BudgetSettings = Field(BudgetSettings(), description="What retries are paid from, per service.")

    @model_validator(mode="after")
    def _conditions_have_what_they_need(self) -> RetrySettings:
        if bool(self.headers) != ("retriable-headers" in self.on):
            raise ValueError("`headers` and `retriable-headers` in `on` go together")
        if "statuses" in self.model_fields_set and "retriable-status-codes" not in self.on:
            raise ValueError("`statuses` go with `retriable-status-codes` in `on`")
        return self


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


class StaticFallback(Model):
    """A fixed answer."""

    status: Annotated[int, Field(ge=200, le=599, strict=True), Number] = Field(200, description="Its status.")
    headers: dict[str, str] = Field({}, description="Its headers; `Content-Type` follows the body unless set.")
    body: Any = Field(None, description="Text as it is, anything else as JSON; none unless set.")

    @model_validator(mode="after")
    def _can_be_sent(self) -> StaticFallback:
        for name, value in self.headers.items():
            grammar.header(name, value)
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

    @model_validator(mode="after")
    def _has_something(self) -> FallbackSettings:
        if self.last_good is None and self.callable is None and self.static is None:
            raise ValueError("a fallback needs `last_good`, `callable` or `static`")
        return self


class WhenSettings(Model):
    """Which calls a fault is for: those for which all of this is so."""

    methods: tuple[Annotated[str, AfterValidator(str.upper)], ...] | None = Field(None, description="Their methods.")
    path: Annotated[str, Field(pattern="^/")] = Field("/", description="What their path begins with.")
    headers: dict[str, str] = Field({}, description="Their headers and the values of these; `*` for any value.")


class FaultSettings(Model):
    """Something that goes wrong on purpose with a service's calls: exactly one of the first four."""

    delay: Seconds | None = Field(None, description="Seconds that pass first; several delays add up.")
    abort: Annotated[int, Field(ge=400, le=599, strict=True), Number] | None = Field(
        None, description="The status that is answered, and nothing is sent."
    )
    reset: bool = Field(False, description="The connection breaks, and nothing is sent.")
    partial_body: Annotated[int, Field(ge=0, le=1_073_741_824, strict=True), Number] | None = Field(
        None, description="Bytes after which the body of a real answer breaks off."
    )
    percentage: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, strict=True), Number] = Field(
        100.0, description="Of the calls that it is for."
    )
    when: WhenSettings = Field(WhenSettings(), description="Which calls it is for; all unless set.")
    until: Annotated[
        Any,
        PlainValidator(grammar.end_time),
        WithJsonSchema({"anyOf": [_POSITIVE_SECONDS, {"type": "string", "format": "date-time"}, {"type": "null"}]}),
    ] = Field(
        None, description="When it ends: seconds from the load of these settings, or a time with its offset from UTC."
    )
    counts: bool = Field(
        False,
        description="Whether the endpoint seems to have done it: attempts are retried, endpoints ejected. "
        "Otherwise it befalls the call as a whole, and nothing is learned from it.",
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> FaultSettings:
        given = (self.delay is not None, self.abort is not None, self.reset, self.partial_body is not None)
        if sum(given) != 1:
            raise ValueError("exactly one of `delay`, `abort`, `reset` and `partial_body`")
        return self


class Policy(Model):
    """What a service may set, and `defaults` for all of them."""

    strategy: Annotated[PluginChoice, AfterValidator(references.strategy)] = Field(
        PluginChoice(name="adaptive"), description="How an endpoint is picked: a name, or `{name: {settings}}`."
    )
    timeout: Seconds = Field(
        10.0,
        description="Seconds a call has in all, over its attempts. Not set: to the headers only, "
        "then 10 s without a byte.",
    )
    connect_timeout: Seconds = Field(1.5, description="Seconds for one connect (Linkerd: 1, Envoy: 5).")
    attempt_timeout: Annotated[
        float | Literal["adaptive"] | None,
        PlainValidator(grammar.attempt_limit),
        WithJsonSchema({"anyOf": [{"const": "adaptive"}, _POSITIVE_SECONDS, {"type": "null"}]}),
    ] = Field(
        "adaptive", description="Seconds to the headers while another attempt may follow: max(0.1, 3 x p95); None: off."
    )
    locality: LocalitySettings = Field(LocalitySettings(), description="Which endpoints are asked first.")
    retry: RetrySettings = Field(RetrySettings(), description="When a call is sent again.")
    hedge: HedgeSettings = Field(HedgeSettings(), description="When a second copy goes out beside a late first one.")
    ejection: EjectionSettings = Field(EjectionSettings(), description="When an endpoint is taken out.")
    health_check: HealthCheckSettings | None = Field(
        None, description="Asks each endpoint whether it is well; `tcp` for a connection. Off unless set."
    )
    circuit: CircuitSettings = Field(CircuitSettings(), description="When the whole service is refused.")
    limits: LimitSettings = Field(LimitSettings(), description="When calls are refused before anything is sent.")
    throttle: ThrottleSettings = Field(
        ThrottleSettings(), description="When calls are refused because the service refuses most of them."
    )
    rate_limit: RateSettings | None = Field(
        None, description="How many calls a second each worker process lets out; any number unless set."
    )
    fallback: FallbackSettings | None = Field(None, description="What a caller gets in place of a failure.")
    faults: tuple[FaultSettings, ...] = Field((), description="What goes wrong on purpose, to see what becomes of it.")
    slow_start: SecondsOrNone = Field(
        10.0, description="Seconds over which a returned endpoint's share grows; 0: at once."
    )
    guard: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False, strict=True), Number] = Field(
        0.4, description="Failure share of the whole service above which policies stand back, until it is half of that."
    )
    panic: Share = Field(
        0.5, description="With the guard on, share of available endpoints under which all are used (Envoy: 50 %)."
    )
    classify: ClassifierChoice = Field(
        None,
        description="What judges answers beside their status: `graphql` or `jsonrpc` (a 200 that is an error), `grpc` "
        "(`grpc-status` in the headers), a classifier of your own, or its import path `module:name`.",
    )
    host: Annotated[str, AfterValidator(grammar.http_name)] = Field(
        "logical", description="Host header sent: `logical`, `endpoint`, or a given name."
    )
    tls: TlsSettings | None = Field(None, description="Needed for `https://`; without it such calls are refused.")

    @property
    def timeout_chosen(self) -> bool:
        """Whether somebody wrote a timeout: the default one ends at the headers."""
        return "timeout" in self.model_fields_set

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other) and isinstance(other, Policy) and self.timeout_chosen is other.timeout_chosen

    __hash__ = None  # type: ignore[assignment]


def _sound(endpoints: tuple[EndpointSettings, ...], info: ValidationInfo) -> tuple[EndpointSettings, ...]:
    if "discovery" not in info.data or (info.data["discovery"] is not None and not endpoints):
        return endpoints  # what finds them is refused by itself, or will find them
    if info.data["discovery"] is not None:
        raise ValueError("either `endpoints` or `discovery`, not both")
    if not endpoints:
        raise ValueError("no endpoints: at least one is needed, or `discovery` in their place")
    faults = []
    addresses = Counter(each.address for each in endpoints)
    twice = sorted(address for address, times in addresses.items() if times > 1)
    if twice:
        faults.append(f"endpoints named twice: {', '.join(twice)}")
    if not any(each.weight > 0 for each in endpoints):
        faults.append("all weights are 0: at least one must be more")
    if faults:
        raise ValueError("; ".join(faults))
    return endpoints


def _one_of_both(schema: dict[str, Any]) -> None:
    """What the JSON Schema says of `endpoints` and `discovery`: one of them."""
    null = {"properties": {"discovery": {"type": "null"}}}
    schema["oneOf"] = [
        {"required": ["endpoints"], **null},
        {"required": ["discovery"], "not": {"anyOf": [{"required": ["endpoints"]}, null]}},
    ]


class ServiceSettings(Policy):
    """One service: where it is, and its policies."""

    model_config = ConfigDict(json_schema_extra=_one_of_both)

    discovery: Annotated[PluginChoice, AfterValidator(references.discovery)] | None = Field(
        None, description="What finds its endpoints, where they are not listed: a name, or `{name: {settings}}`."
    )
    endpoints: Annotated[tuple[EndpointSettings, ...], AfterValidator(_sound)] = Field(
        (),
        description="Its endpoints, at least one, where there is no `discovery`.",
        json_schema_extra={"minItems": 1},
        validate_default=True,
    )

    def policies(self) -> ServiceSettings:
        """All but where it is and what goes wrong on purpose: while this stays equal, what was learned stays too."""
        return self.model_copy(update={"endpoints": (), "discovery": None, "faults": ()})


def _name(raw: Any) -> str:
    if isinstance(raw, shape.Again):
        raise ValueError(f"the same name as {raw.other!r}, which is there already")
    return grammar.service_name(raw)


def _stands_alone(key: str, value: Any) -> bool:
    """Whether a default is right by itself."""
    try:
        Policy.model_validate({key: value})
    except ValidationError:
        return False
    return True


class BoardSettings(Model):
    """What the workers of one host tell each other."""

    enabled: bool = Field(
        True,
        description="Whether workers of the same user, `service`, `environment` and settings share what is in flight, "
        "answers, ejections, budgets and limits. Without a `service` they do not.",
    )
    directory: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Where the board lies: a directory on this host; in memory (`/dev/shm`) unless set."
    )


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


class MeshSettings(Model):
    """All settings of one mesh."""

    service: str = Field(
        "",
        description="This service's own name: what `repr(mesh)` and the mesh's own events say, and under which the "
        "workers of a host share what they learn.",
    )
    environment: str = Field("", description="Where it runs, such as `prod`: workers share within one environment.")
    locality: str = Field(
        "", description="Where this process runs: `cloud/region/zone`. Endpoints nearer to it are preferred."
    )
    request_timeout: Seconds | None = Field(
        None,
        description="Seconds that an inbound request may take; its outbound calls share what is left. "
        "A caller's own deadline can only shorten it.",
    )
    trusted_peers: tuple[
        Annotated[IPv4Network | IPv6Network, PlainValidator(grammar.network), WithJsonSchema({"type": "string"})],
        ...,
    ] = Field(
        (),
        description="Networks whose callers are believed when they say which attempt of theirs a request is: "
        "that is its `RequestContext.attempt`, else 1; and who may hear how busy this server is.",
    )
    inbound: InboundSettings = Field(
        InboundSettings(), description="Which requests are refused before the app knows of them."
    )
    fault_headers: bool = Field(
        False,
        description="Whether `trusted_peers` may ask, by the header `x-meshware-fault`, that something goes wrong with "
        "the calls made for their request.",
    )
    load_reports: Literal["asked", "always", "off"] = Field(
        "asked",
        description="Whether answers to `trusted_peers` say how busy this server is (ORCA's `endpoint-load-metrics`): "
        "to those who ask, as meshware does; `always`, for Envoy and others who cannot ask; or never.",
    )
    slots: Annotated[int, Field(ge=1, le=100_000, strict=True), Number] = Field(
        1,
        description="Requests that one worker process works on at once: its threads, or what an async one can bear. "
        "The reported utilisation is what is in flight beside it.",
    )
    board: BoardSettings = Field(BoardSettings(), description="What the workers of one host tell each other.")
    observers: tuple[Annotated[PluginChoice, AfterValidator(references.observer)], ...] = Field(
        (), description="What watches calls and events: names, or `{name: {settings}}`."
    )
    defaults: Policy = Field(Policy(), description="Policies of every service that does not set its own.")
    services: dict[Annotated[str, BeforeValidator(_name)], ServiceSettings] = Field(
        {}, description="Services by their logical names: `inventory`, or `inventory:8080` for one port only."
    )

    @model_validator(mode="before")
    @classmethod
    def _spread_defaults(cls, data: Any) -> Any:
        """Defaults reach each service that does not set its own; names are made one spelling."""
        data = shape.plain(data) if isinstance(data, Mapping) else data
        if isinstance(data, dict) and isinstance(data.get("services"), Mapping):
            services = shape.named(data["services"])
            defaults = data.get("defaults")
            if isinstance(defaults, Mapping | Policy):
                services = shape.spread(defaults, services, _stands_alone)
            data = data | {"services": services}
        return data
