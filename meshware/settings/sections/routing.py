"""Routes: which calls, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from meshware.core.template import VARIABLE, variables
from meshware.settings import grammar
from meshware.settings.grammar import Refused
from meshware.settings.model import Model, Seconds, Weight
from meshware.settings.references import nearest
from meshware.settings.refusals import Refusal, refuse
from meshware.settings.sections.fallback import StaticFallback
from meshware.settings.sections.faults import FaultSettings
from meshware.settings.sections.matching import Captures, MatchSettings, Name, PlainPath, only_one
from meshware.settings.sections.retrying import HedgeSettings, RouteRetrySettings

NOT_OURS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "trailer", "keep-alive",
    "proxy-authorization", "expect", "content-encoding", "set-cookie",
})  # fmt: skip
"""Headers that the client and its connection need as they are; of `host` there is `rewrite.host`."""


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


class RegexRewriteSettings(Model):
    """Another path by a regular expression that all of it matches; one that does not match stays."""

    pattern: Captures = Field(description="The regular expression, with groups.")
    to: PlainPath = Field(description="The new path; `\\1` or `\\g<name>` is what a group has matched.")

    @model_validator(mode="after")
    def _knows_its_groups(self) -> RegexRewriteSettings:
        try:
            _expand(self.pattern.text, self.to)
        except (re.error, IndexError) as error:
            raise ValueError(f"`to` with groups of `pattern` ({error})") from None
        return self


def _expand(pattern: str, to: str) -> None:
    """Raises re.error or IndexError where a replacement names a group that is not there."""
    found = re.compile(f"(?:{pattern})?").match("")
    assert found is not None
    found.expand(to)


class RewriteSettings(Model):
    """What the service sees of another path or host. The client sees what it has asked for."""

    prefix: PlainPath | None = Field(
        None, description="In the place of the matched `prefix` or `separated_prefix`; `/` takes it away."
    )
    template: PlainPath | None = Field(
        None, description="The new path, with variables of the matched template: `/v2/items/{id}`."
    )
    regex: RegexRewriteSettings | None = Field(None, description="The new path by a regular expression.")
    host: Annotated[str, AfterValidator(grammar.http_name)] | None = Field(
        None, description="The Host header. Certificates are still verified for the service's name."
    )

    @model_validator(mode="after")
    def _is_something(self) -> RewriteSettings:
        paths = [name for name in ("prefix", "template", "regex") if getattr(self, name) is not None]
        if len(paths) > 1 or not (paths or self.host):
            raise ValueError("`host`, or one of `prefix`, `template` and `regex`, or both")
        return self

    @property
    def path(self) -> bool:
        """Whether the path becomes another."""
        return self.prefix is not None or self.template is not None or self.regex is not None


class HeaderEditSettings(Model):
    """What becomes of headers; each is named in one place only."""

    set: dict[str, str] = Field({}, description="Headers that have this value, whatever was there.")
    add: dict[str, str] = Field({}, description="Values that are added, after a comma where there is one already.")
    remove: tuple[str, ...] = Field((), description="Names of headers that are left out.")

    @field_validator("set", "add")
    @classmethod
    def _named(cls, values: dict[str, str]) -> dict[str, str]:
        for name, value in values.items():
            grammar.header(name, value)
            if not value.isascii():
                raise ValueError(f"{name}: a value in ASCII, not {value!r}")
        return {name.lower(): value for name, value in values.items()}

    @field_validator("remove")
    @classmethod
    def _names(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for name in values:
            grammar.header(name)
        return tuple(name.lower() for name in values)

    @model_validator(mode="after")
    def _each_once(self) -> HeaderEditSettings:
        names = [*self.set, *self.add, *self.remove]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each header in one place only, not {', '.join(twice)} in several")
        kept = sorted(NOT_OURS.intersection(names)) + sorted(name for name in names if name.startswith("x-meshware-"))
        if kept:
            raise ValueError(
                f"other headers than {', '.join(kept)}, which the client, its connection or meshware needs"
            )
        if not names:
            raise ValueError("`set`, `add` or `remove`")
        return self


def _split(weights: dict[str, float]) -> dict[str, float]:
    if not any(weights.values()):
        raise ValueError("all weights are 0: at least one must be more")
    return weights


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
    faults: tuple[FaultSettings, ...] | None = Field(
        None, description="What goes wrong on purpose, in the place of the service's `faults`."
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
        given = {each for each in self.model_fields_set if getattr(self, each) is not None} - {"name", "match"}
        for name, company in _COMPANY.items():
            if name in given and given - company - {name}:
                others = ", ".join(f"`{each}`" for each in sorted(given - company - {name}))
                yield Refusal((name,), getattr(self, name), Refused(f"it does not go with {others}"))
        if self.sticky is not None and self.split is None:
            yield Refusal(("sticky",), None, Refused("it goes with `split`"))

    def _rewrites(self) -> Iterator[Refusal]:
        """What a rewrite needs of the path that was matched."""
        rewrite, path = self.rewrite, self.match.path
        if rewrite is None:
            return
        if rewrite.prefix is not None and (path is None or (path.prefix or path.separated_prefix) is None):
            error = Refused(
                "it goes with `match.path.prefix` or `match.path.separated_prefix`, in whose place it stands"
            )
            yield Refusal(("rewrite", "prefix"), rewrite.prefix, error)
        if rewrite.template is None:
            return
        if any(brace in VARIABLE.sub("", rewrite.template) for brace in "{}"):
            error = Refused("braces around names of variables only, such as /items/{id}")
            yield Refusal(("rewrite", "template"), rewrite.template, error)
        known = variables(path.template) if path is not None and path.template is not None else []
        for name in variables(rewrite.template):
            if name not in known:
                error = Refused(
                    f"a variable of `match.path.template` ({', '.join(known) or 'there is none'})", nearest(name, known)
                )
                yield Refusal(("rewrite", "template"), name, error)


_COMPANY = {
    "redirect": {"rewrite", "request_headers"},
    "respond": set[str](),
}
"""Actions, and those that they go with."""
