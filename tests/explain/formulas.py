"""The published formulas (docs/strategies.md), written down once more: a score by the terms that were told of it."""

from __future__ import annotations

from itertools import accumulate
from math import prod
from statistics import fmean

from xxhash import xxh64_intdigest


def adaptive(pace, slope, in_flight, share, price, fleet, late=0.0, fleet_now=1.0, slope_now=0.0, **other):
    """pace x (1 + slope x in flight / weight) + price of failing, in the fleet's paces; `share` is 1 / weight."""
    return (pace * (1 + slope * in_flight * share) + price) / fleet + late / fleet_now * (
        1 + slope_now * in_flight * share
    )


def contextual(**terms):
    """The same, by the operation's factor there, in times of the operation."""
    if "factor" not in terms:
        return adaptive(**terms)
    queued = 1 + terms["slope"] * terms["in_flight"] * terms["share"]
    return terms["pace"] * terms["factor"] * queued + terms["price"]


def least_request(in_flight, weight, bias):
    return in_flight**bias / weight


def peak_ewma(in_flight, weight, peak):
    return (in_flight + 1) / weight * peak


def c3(response_time, service_time, queue, **other):
    """R - 1/mu + q^3/mu."""
    return response_time - service_time + queue**3 * service_time


def mean(mean, **other):
    return mean


def load(in_flight, weight, utilization):
    """What is in flight now per weight, times the utilisation; nobody is ten times better for being idle."""
    return (1 + in_flight / weight) * max(0.1, utilization)


def failure_rate(rate, fleet, **other):
    return 1 + 300 * max(0, rate - fleet)


def product(in_flight, weight, **terms):
    return prod(terms[name] ** terms[f"{name} share"] for name in terms if f"{name} share" in terms)


def total(in_flight, weight, **terms):
    return sum(terms[name] * terms[f"{name} share"] for name in terms if f"{name} share" in terms)


def bounded(in_flight, slots, share, total):
    """Pressure: what is in flight, of the places that are its share of 110 or 125 %."""
    return in_flight / slots


def due(period):
    return None


def guarded(in_flight, weight=None, share=None, **other):
    """Plain least request."""
    return in_flight * share if weight is None else in_flight / weight


FORMULAS = {
    "adaptive": adaptive,
    "adaptive by weight": adaptive,
    "adaptive of several workers": adaptive,
    "adaptive that probes ahead": adaptive,
    "contextual": contextual,
    "least_request": least_request,
    "least_request of all": least_request,
    "peak_ewma": peak_ewma,
    "c3": c3,
    "c3 of all": c3,
    "response_time": mean,
    "latency": mean,
    "load": load,
    "load literally": mean,
    "failure_rate": failure_rate,
    "failure_rate literally": mean,
    "combined": product,
    "combined by sum": total,
    "weighted_round_robin": due,
    "ring_hash within bounds": bounded,
    "maglev": bounded,
    "sticky": least_request,
    "subset": least_request,
    "near": least_request,
}
"""By the strategies of living.py."""


def utilization_shares(candidates):
    """rps / (utilisation + eps / rps x error_penalty), within 0.01 and 10 medians; the mean where nothing is said."""
    reported = [
        each.terms["rps"]
        / (each.terms["utilization"] + each.terms["eps"] / each.terms["rps"] * each.terms["error_penalty"])
        if each.terms.get("rps") and each.terms.get("utilization")
        else 0.0
        for each in candidates
    ]
    known = sorted(each for each in reported if each)
    if len(known) < 2:
        filled = [1.0] * len(reported)
    else:
        middle = known[len(known) // 2]
        within = [min(max(each, 0.01 * middle), 10 * middle) if each else 0.0 for each in reported]
        filled = [each or fmean(each for each in within if each) for each in within]
    shares = [share * each.terms["weight"] for share, each in zip(filled, candidates, strict=True)]
    return reported, [each / sum(shares) for each in shares]


def at(point, shares):
    """The place whose stretch of a row that point is in."""
    return next(place for place, edge in enumerate(accumulate(shares)) if point < edge or place == len(shares) - 1)


def hashed(key):
    """XXH64."""
    return xxh64_intdigest(key.encode())
