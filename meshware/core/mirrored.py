"""Mirrored: what became of the copy of a call that a route sends to another service as well."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from meshware.core.outcome import Outcome


class Answer(NamedTuple):
    """An answer as a comparison sees it. `body` is uncompressed; None: it was too long, or nobody could read it."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Mirrored:
    """The copy that a route named `route` had for `service`.

    `dropped`: why it was never sent. `outcome` is the copy's, where it was. `alike`: what the comparison says of both
    answers; None: there was none, or it could not tell.
    """

    route: str
    service: str
    dropped: str | None = None
    outcome: Outcome | None = None
    alike: bool | None = None
