"""Routes: which calls, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainValidator,
    model_validator,
)

from meshware.core.template import VARIABLE, variables
from meshware.settings import grammar, references, shape
from meshware.settings.grammar import Refused
from meshware.settings.model import Model, Number, PluginChoice, Seconds, Weight
from meshware.settings.references import nearest
from meshware.settings.refusals import Refusal, refuse
from meshware.settings.sections.fallback import FallbackSettings, StaticFallback
from meshware.settings.sections.faults import FaultSettings
from meshware.settings.sections.limiting import RateSettings, RouteLimitSettings
from meshware.settings.sections.matching import TEXT, MatchSettings, Name, Percentage, only_one
from meshware.settings.sections.retrying import HedgeSettings, RouteRetrySettings
from meshware.settings.sections.rewriting import HeaderEditSettings, RewriteSettings


class StickySettings(Model):
    """Whose calls stay where they are: exactly one of these."""

    header: str | None = Field(None, description="By the value of this header.")
    cookie: str | None = Field(None, description="By the value of this cookie.")
    attribute: str | None = Field(
        None, description="By what the app has said of the inbound request: `meshware.annotate(user=...)`."
    )

    @model_validator(mode="after")
    def _is_one_thing(self) -> StickySettings:
        only_one(self, ("header", "cookie", "attribute"))
        return self


class SubsetSettings(Model):
    """Some of the service's endpoints, by what is known of them."""

    metadata: Annotated[dict[str, Any], Field(min_length=1)] = Field(description="All of this is in their `metadata`.")
    fallback: Literal["none", "any"] = Field(
        "none",
        description="While none of them may be used: `none` fails with `NoEndpoint`, `any` takes others (Envoy).",
    )


def _split(weights: dict[str, float]) -> dict[str, float]:
    if not any(weights.values()):
        raise ValueError("all weights are 0: at least one must be more")
    return weights


class MirrorSettings(Model):
    """A copy of some calls for another service, whose answers nobody gets."""

    service: Name = Field(description="The service that copies go to, by its own policies but for retries and hedges.")
    percentage: Percentage = Field(100.0, description="Of the route's calls, by chance.")
    subset: SubsetSettings | None = Field(None, description="Which of the service's endpoints they go to.")
    timeout: Seconds | None = Field(None, description="Seconds a copy has in all; the service's unless set.")
    host: Annotated[str, AfterValidator(grammar.http_name)] | None = Field(
        None, description="Host header of copies; that of the call with `-shadow` unless set (Envoy)."
    )
    without: Annotated[tuple[str, ...], AfterValidator(grammar.header_names)] = Field(
        ("authorization", "cookie", "x-api-key"),
        description="Headers that copies go without: credentials. `proxy-authorization`, and what frames a message, "
        "are never copied.",
    )
    max_body: Annotated[int, Field(ge=0, le=1_048_576, strict=True), Number] = Field(
        65_536,
        description="Bytes of a request's body; of a longer one, or one that is not in memory, there is no copy.",
    )
    max_answer: Annotated[int, Field(ge=0, le=1_048_576, strict=True), Number] = Field(
        65_536, description="Bytes that are read of a copy's answer, and thrown away."
    )
    waiting: Annotated[int, Field(ge=1, le=10_000, strict=True), Number] = Field(
        100, description="Copies that wait to be sent, and 8 MiB of bodies; what comes when it is full is dropped."
    )
    compare: Annotated[Any, PlainValidator(references.comparison), TEXT] = Field(
        None,
        description="Whether both answers are alike: by `status`, by `body` (and status), or by a function of yours, "
        "`compare(primary, copy)`, or its import path `module:name`; both have `status`, `headers` and `body`.",
    )


def _may_be_one(schema: dict[str, Any]) -> None:
    """What the JSON Schema says of a list in whose place one of it may stand."""
    schema["anyOf"] = [schema["items"], {"type": schema.pop("type"), "items": schema.pop("items")}, {"type": "null"}]


class RouteSettings(Model):
    """What becomes of some calls. The first route whose `match` holds decides, and no other."""

    name: Annotated[str, Field(min_length=1, max_length=64)] | None = Field(
        None, description="What messages call it; `routes[0]` and so on unless set."
    )
    match: MatchSettings = Field(description="Which calls it is for.")
    split: Annotated[dict[Name, Weight], AfterValidator(_split)] | None = Field(
        None,
        description="The services that they go to, by weight. The last one takes the rest: the main one stands there.",
    )
    sticky: StickySettings | None = Field(
        None, description="Of `split`: whose calls stay with one service; who has no such value is drawn each time."
    )
    redirect: Name | None = Field(
        None, description="The service as whose calls they go on, by its own routes; with `rewrite`, `request_headers`."
    )
    subset: SubsetSettings | None = Field(None, description="Which of the service's endpoints they go to.")
    strategy: Annotated[PluginChoice, AfterValidator(references.strategy)] | None = Field(
        None, description="How an endpoint is picked for them; as for the service's other calls unless set."
    )
    rewrite: RewriteSettings | None = Field(None, description="Another path or Host header.")
    request_headers: HeaderEditSettings | None = Field(None, description="What becomes of the request's headers.")
    response_headers: HeaderEditSettings | None = Field(None, description="What becomes of the answer's headers.")
    timeout: Seconds | None = Field(None, description="Seconds they have in all; the service's unless set.")
    retry: RouteRetrySettings | None = Field(
        None, description="When they are sent again, `false`: never; what is not set is the service's."
    )
    hedge: HedgeSettings | None = Field(
        None, description="When a second copy goes out, `false`: never; what is not set is the service's."
    )
    limits: RouteLimitSettings | None = Field(
        None, description="How many of them each worker process has in flight at most, beside the service's `limits`."
    )
    rate_limit: RateSettings | None = Field(
        None, description="How many of them a second each worker process lets out, beside the service's `rate_limit`."
    )
    fallback: FallbackSettings | None = Field(
        None, description="What a caller gets in place of a failure, in the place of the service's; `false`: nothing."
    )
    faults: tuple[FaultSettings, ...] | None = Field(
        None, description="What goes wrong on purpose, in the place of the service's `faults`."
    )
    mirror: Annotated[tuple[MirrorSettings, ...], BeforeValidator(shape.several)] = Field(
        (),
        description="Where copies of them go as well: one, or a list.",
        json_schema_extra=_may_be_one,
    )
    respond: StaticFallback | None = Field(
        None, description="The answer; nothing is sent, and it goes with nothing else."
    )

    @model_validator(mode="after")
    def _fits(self) -> RouteSettings:
        found = [*self._companions(), *self._rewrites()]
        if found:
            refuse(found)
        return self

    def _companions(self) -> Iterator[Refusal]:
        """Actions that do not go together."""
        given = {each for each in self.model_fields_set if getattr(self, each) not in (None, ())} - {"name", "match"}
        for name, company in _COMPANY.items():
            if name in given and given - company - {name}:
                others = ", ".join(f"`{each}`" for each in sorted(given - company - {name}))
                yield Refusal((name,), getattr(self, name), Refused(f"it does not go with {others}"))
        if self.sticky is not None and self.split is None:
            yield Refusal(("sticky",), None, Refused("it goes with `split`"))
        for place, mirror in enumerate(self.mirror):
            if mirror.service in (self.split or (self.match.service,)) and mirror.subset in (None, self.subset):
                error = Refused("a service that these calls do not go to anyway, or another `subset` of it")
                yield Refusal(("mirror", place, "service"), mirror.service, error)

    def _rewrites(self) -> Iterator[Refusal]:
        """What a rewrite needs of the path that was matched."""
        rewrite, path = self.rewrite, self.match.path
        if rewrite is None:
            return
        if rewrite.prefix is not None and (path is None or (path.prefix or path.separated_prefix) is None):
            error = Refused("it goes with `match.path.prefix` or `match.path.separated_prefix`, whose place it takes")
            yield Refusal(("rewrite", "prefix"), rewrite.prefix, error)
        if rewrite.template is not None:
            yield from _template(rewrite.template, "" if path is None or path.template is None else path.template)


def _template(new: str, matched: str) -> Iterator[Refusal]:
    """A new path whose variables the matched one does not have."""
    known = variables(matched)
    if any(brace in VARIABLE.sub("", new) for brace in "{}"):
        yield Refusal(_TEMPLATE, new, Refused("braces around names of variables only, such as /items/{id}"))
    for name in variables(new):
        if name not in known:
            expected = f"a variable of `match.path.template` ({', '.join(known) or 'there is none'})"
            yield Refusal(_TEMPLATE, name, Refused(expected, nearest(name, known)))


_TEMPLATE = ("rewrite", "template")

_COMPANY = {
    "redirect": {"rewrite", "request_headers"},
    "respond": set[str](),
}
"""Actions, and those that they go with."""
