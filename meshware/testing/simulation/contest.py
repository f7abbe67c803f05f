"""Contenders, as a command line names them, and the figures that they are compared by."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from meshware.core.errors import Problem
from meshware.settings.origin import Source
from meshware.settings.problems import problems_of
from meshware.settings.schema import ServiceSettings
from meshware.testing.simulation.file import InputError
from meshware.testing.simulation.run import ORACLE
from meshware.testing.simulation.tally import Tally


class Contender(NamedTuple):
    """A strategy under a name."""

    name: str
    strategy: str | Mapping[str, Any]


class Figures(NamedTuple):
    """What came of a contender."""

    p50_ms: float
    p99_ms: float
    p999_ms: float
    over_oracle: float | None
    """Its 99th percentile over the oracle's; None where the oracle's is 0."""
    lost_percent: float
    refused_percent: float
    """Of all calls, those refused by our own limiter; they are lost, too."""
    smallest_share_percent: float
    """Of all attempts, those that the replica got that was asked least."""
    largest_share_percent: float


def contender(text: str) -> Contender:
    """A strategy by its name, or with options, as settings write it: JSON or a TOML inline table. Raises InputError."""
    if text == ORACLE:
        return Contender(ORACLE, ORACLE)
    written = _inline(text) if text.lstrip().startswith("{") else text
    try:
        choice = ServiceSettings.model_validate({"endpoints": ["replica:80"], "strategy": written}).strategy
    except ValidationError as error:
        raise InputError("--strategy", problems_of(error, Source({}), ServiceSettings)) from None
    options = f" {json.dumps(choice.options, default=repr)}" if choice.options else ""
    return Contender(choice.name + options, {"name": choice.name, "options": choice.options})


def figures(tally: Tally, oracle: Tally, addresses: Sequence[str]) -> Figures:
    """Of a run, beside the oracle's over the same arrivals."""
    p50, p99, p999 = map(tally.quantile, (0.5, 0.99, 0.999))
    best = oracle.quantile(0.99)
    shares = [100 * tally.share(each) for each in addresses]
    return Figures(
        p50_ms=1000 * p50,
        p99_ms=1000 * p99,
        p999_ms=1000 * p999,
        over_oracle=p99 / best if best else None,
        lost_percent=100 * tally.lost_share,
        refused_percent=100 * tally.refused / max(1, len(tally.times)),
        smallest_share_percent=min(shares),
        largest_share_percent=max(shares),
    )


def _inline(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return tomllib.loads(f"strategy = {text}")["strategy"]
    except ValueError as error:
        reason = f'JSON or a TOML inline table, such as {{"least_request": {{"choices": 3}}}} ({error})'
        raise InputError("--strategy", [Problem("strategy", text, reason)]) from None
