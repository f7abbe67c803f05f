"""Load reports in headers: ORCA's `endpoint-load-metrics`, as Envoy and gRPC know it, and `Server-Timing`.

    TEXT application_utilization=0.25, rps_fractional=80, eps=0, named_metrics.inflight=3
    JSON {"application_utilization": 0.25, "named_metrics": {"inflight": 3}}
    BIN <base64 of xds.data.orca.v3.OrcaLoadReport>

What a server says comes from outside: whatever it is, nothing here raises, and what is not exactly in the grammar
says nothing. Numbers are ASCII digits, a fraction and a short exponent; `float()` would take more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from meshware.core.outcome import LoadReport, sensible
from meshware.security.orca_binary import read_binary

LONGEST = 4096
"""Characters of a header that is looked at."""

MANY = 64
"""Metrics of one report."""

IN_FLIGHT, SLOTS, SERVICE_TIME = "inflight", "slots", "svc"
"""Our names in `named_metrics`: requests in work, how many can be at once, seconds that one usually takes."""

NAMED = "named_metrics."

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,20})?(?:[eE][+-]?[0-9]{1,2})?"
_DURATION = re.compile(rf"[ \t]*dur[ \t]*=[ \t]*({_NUMBER})[ \t]*", re.ASCII)
_METRIC = re.compile(rf"[ \t]*([A-Za-z0-9_.\-]{{1,64}})[=:]({_NUMBER})[ \t]*", re.ASCII)


def write(figures: Mapping[str, float]) -> str:
    """The header's value, in the form that all take. Figures are finite and at least 0."""
    return "TEXT " + ", ".join(f"{name}={figure:.6f}" for name, figure in figures.items())


def read_report(text: str | None, binary: str | None = None) -> LoadReport | None:
    """What `endpoint-load-metrics`, or `endpoint-load-metrics-bin`, says of the server; None when that is nothing."""
    if text is None:
        return None if binary is None else _report(read_binary(binary))
    if len(text) > LONGEST or not text.isascii():
        return None
    form, _, said = text.partition(" ")
    read = _FORMS.get(form)
    return None if read is None else _report(read(said))


def read_service_time(text: str | None) -> LoadReport | None:
    """What `Server-Timing` (W3C) says of this answer: a metric `total` with its `dur`, in milliseconds."""
    if text is None or len(text) > LONGEST or not text.isascii():
        return None
    metrics = [part.split(";") for part in text.split(",")]
    told = [part for name, *rest in metrics if name.strip(" \t") == "total" for part in rest]
    spans = [match for part in told if (match := _DURATION.fullmatch(part))]
    if len(spans) != 1:
        return None
    report = LoadReport(None, service_time=float(spans[0][1]) / 1000)
    return report if sensible(report) else None


def _report(metrics: Mapping[str, float] | None) -> LoadReport | None:
    """By the names of the protocol; as in gRPC and Envoy, who knows no utilisation of its own tells its CPU's."""
    if metrics is None:
        return None
    used = metrics.get("application_utilization") or metrics.get("cpu_utilization")
    report = LoadReport(
        used or None,
        rps=metrics.get("rps_fractional", 0.0),
        eps=metrics.get("eps", 0.0),
        service_time=metrics.get(NAMED + SERVICE_TIME),
        queue=metrics.get(NAMED + IN_FLIGHT),
    )
    return report if report != _NOTHING and sensible(report) else None


_NOTHING = LoadReport(None)


def _text(said: str) -> dict[str, float] | None:
    metrics: dict[str, float] = {}
    parts = said.split(",", MANY)
    for part in parts[:MANY]:
        match = _METRIC.fullmatch(part)
        if match is None or match[1] in metrics:
            return None
        metrics[match[1]] = float(match[2])
    return metrics if len(parts) <= MANY else None


def _json(said: str) -> dict[str, float] | None:
    try:
        found = json.loads(said, object_pairs_hook=_object, parse_constant=_refuse)
        return _flat(found)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """One JSON object. Raises ValueError for a key that is there twice."""
    made = {_snake(key): value for key, value in pairs}
    if len(made) < len(pairs) or len(pairs) > MANY:
        raise ValueError("a key twice, or too many")
    return made


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _flat(found: Any) -> dict[str, float]:
    """Numbers by their names; those of a map by the map's name and their own. Raises ValueError for anything else."""
    if not isinstance(found, dict):
        raise ValueError("no object")
    metrics: dict[str, float] = {}
    for key, value in found.items():
        inner = {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {key: value}
        for name, each in inner.items():
            if type(each) not in (int, float):
                raise ValueError(name)
            metrics[name] = float(each) if abs(each) < 1e15 else -1.0  # more is no figure of any
    return metrics


def _snake(key: str) -> str:
    """proto3's JSON has `rpsFractional` for `rps_fractional`, and takes both."""
    return _SPELLED.get(key, key)


_SPELLED = {
    "applicationUtilization": "application_utilization",
    "cpuUtilization": "cpu_utilization",
    "memUtilization": "mem_utilization",
    "rpsFractional": "rps_fractional",
    "namedMetrics": "named_metrics",
    "requestCost": "request_cost",
}

_FORMS = {"TEXT": _text, "JSON": _json, "BIN": read_binary}
