"""The models ARE the settings: what may be written, its default, its unit, and what it means.

Every field is read by assembly or a door; the reference page and the JSON Schema are made from here.
Keys may be written in upper case; the keys of `services` and `metadata` are data and stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from meshware.settings import grammar, profiles, references, shape
from meshware.settings.late import late
from meshware.settings.model import POSITIVE_SECONDS, Model, Number, PluginChoice, Seconds, SecondsOrNone, Share
from meshware.settings.sections.breaking import CircuitSettings, EjectionSettings
from meshware.settings.sections.endpoints import EndpointSettings, LocalitySettings, TlsSettings
from meshware.settings.sections.explaining import ExplainSettings
from meshware.settings.sections.inbound import InboundSettings
from meshware.settings.sections.limiting import LimitSettings, RateSettings, ThrottleSettings
from meshware.settings.sections.retrying import HedgeSettings, RetrySettings

if TYPE_CHECKING:
    from meshware.settings.sections.fallback import FallbackSettings
    from meshware.settings.sections.faults import FaultSettings
    from meshware.settings.sections.health import HealthCheckSettings
    from meshware.settings.sections.routing import RouteSettings
    from meshware.settings.sections.shifting import ShiftSettings
else:
    FallbackSettings = late("fallback", "FallbackSettings")
    FaultSettings = late("faults", "FaultSettings")
    HealthCheckSettings = late("health", "HealthCheckSettings")
    RouteSettings = late("routing", "RouteSettings")
    ShiftSettings = late("shifting", "ShiftSettings")

ClassifierChoice = Annotated[Any, PlainValidator(references.classifier), WithJsonSchema({"type": ["string", "null"]})]


class Policy(Model):
    """What a service may set, and `defaults` for all of them."""

    profile: Annotated[str | None, AfterValidator(profiles.known)] = Field(
        None,
        description=f"Whose defaults stand below all that is set: {', '.join(profiles.PROFILES)}; ours unless set.",
        json_schema_extra={"anyOf": [{"enum": list(profiles.PROFILES)}, {"type": "null"}]},
    )
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
        WithJsonSchema({"anyOf": [{"const": "adaptive"}, POSITIVE_SECONDS, {"type": "null"}]}),
    ] = Field(
        "adaptive",
        description="Seconds to the headers while another attempt may follow: max(0.1, 3 x p95), thrice that where "
        "the endpoint answers others meanwhile; None: off.",
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
    if "discovery" not in info.data or (info.data["discovery"] and not endpoints):
        return endpoints  # what finds them is refused by itself, or will find them
    if info.data["discovery"]:
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


def _or_one(schema: dict[str, Any]) -> None:
    """What the JSON Schema says of a list in whose place one of it may stand, or none."""
    kind, items = schema.pop("type"), schema.pop("items")
    schema["anyOf"] = [items, {"type": kind, "items": items}, {"type": "null"}]


def _one_of_both(schema: dict[str, Any]) -> None:
    """What the JSON Schema says of `endpoints` and `discovery`: one of them."""
    null = {"properties": {"discovery": {"anyOf": [{"type": "null"}, {"maxItems": 0, "type": "array"}]}}}
    schema["oneOf"] = [
        {"required": ["endpoints"], **null},
        {"required": ["discovery"], "not": {"anyOf": [{"required": ["endpoints"]}, null]}},
    ]


class ServiceSettings(Policy):
    """One service: where it is, and its policies."""

    model_config = ConfigDict(json_schema_extra=_one_of_both)

    discovery: Annotated[
        tuple[Annotated[PluginChoice, AfterValidator(references.discovery)], ...], BeforeValidator(shape.several)
    ] = Field(
        (),
        description="What finds its endpoints, where they are not listed: a name, `{name: {settings}}`, or a list of "
        "such, whose finds are merged.",
        json_schema_extra=_or_one,
    )
    endpoints: Annotated[tuple[EndpointSettings, ...], AfterValidator(_sound)] = Field(
        (),
        description="Its endpoints, at least one, where there is no `discovery`.",
        json_schema_extra={"minItems": 1},
        validate_default=True,
    )

    def policies(self) -> ServiceSettings:
        """All but where it is and what goes wrong on purpose: while this stays equal, what was learned stays too."""
        return self.model_copy(update={"endpoints": (), "discovery": (), "faults": ()})


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


def _routes(raw: Any, handler: ValidatorFunctionWrapHandler) -> tuple[RouteSettings, ...]:
    from meshware.settings.routes import checked

    return checked(raw, handler)


def _shifts(shifts: tuple[ShiftSettings, ...], info: ValidationInfo) -> tuple[ShiftSettings, ...]:
    from meshware.settings.shifts import checked

    return checked(shifts, info)


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
    follow: bool = Field(
        True,
        description="Whether settings that come from a file follow it: what changes there is checked, and in force "
        "within a second; while it is wrong or gone the old settings stay.",
    )
    board: BoardSettings = Field(BoardSettings(), description="What the workers of one host tell each other.")
    explain: ExplainSettings = Field(ExplainSettings(), description="What is kept of why calls went where they did.")
    observers: tuple[Annotated[PluginChoice, AfterValidator(references.observer)], ...] = Field(
        (), description="What watches calls and events: names, or `{name: {settings}}`."
    )
    defaults: Policy = Field(Policy(), description="Policies of every service that does not set its own.")
    services: dict[Annotated[str, BeforeValidator(_name)], ServiceSettings] = Field(
        {}, description="Services by their logical names: `inventory`, or `inventory:8080` for one port only."
    )
    routes: Annotated[tuple[RouteSettings, ...], WrapValidator(_routes)] = Field(
        (), description="What becomes of some calls before they begin; the first that is for a call decides."
    )
    shifts: Annotated[tuple[ShiftSettings, ...], AfterValidator(_shifts)] = Field(
        (), description="From one service to another in steps, and back when that fails."
    )

    @model_validator(mode="before")
    @classmethod
    def _spread_defaults(cls, data: Any) -> Any:
        """Profiles and defaults reach each service that does not set its own; names are made one spelling."""
        data = shape.plain(data) if isinstance(data, Mapping) else data
        if isinstance(data, dict) and isinstance(data.get("services"), Mapping):
            defaults = data.get("defaults")
            good = shape.sound(defaults if isinstance(defaults, Mapping | Policy) else {}, _stands_alone)
            services = shape.spread(good, shape.named(data["services"]), profiles.settings_of)
            data = data | {"services": services}
        if isinstance(data, dict) and isinstance(data.get("routes"), list | tuple):
            data = data | {"routes": shape.Among(data["routes"], data.get("services"))}
        return data
