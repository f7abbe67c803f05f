"""What a route makes of a request and of its answer: another path, another host, other headers."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    field_validator,
    model_validator,
)

from meshware.settings import grammar
from meshware.settings.model import Model
from meshware.settings.sections.matching import Captures, PlainPath

NOT_OURS = frozenset({
    "host", "content-length", "transfer-encoding", "connection", "te", "upgrade", "trailer", "keep-alive",
    "proxy-authorization", "expect", "content-encoding", "set-cookie",
})  # fmt: skip
"""Headers that the client and its connection need as they are; of `host` there is `rewrite.host`."""


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
        for name, value in grammar.headers(values).items():
            if not value.isascii():
                raise ValueError(f"{name}: a value in ASCII, not {value!r}")
        return {name.lower(): value for name, value in values.items()}

    @field_validator("remove")
    @classmethod
    def _names(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return grammar.header_names(values)

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
