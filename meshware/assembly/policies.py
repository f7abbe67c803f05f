"""From the settings to policies that a service may have and a route above it: retries, hedging, a rate."""

from __future__ import annotations

from meshware.limiting.rate import RateOptions
from meshware.retrying.hedging import HedgeOptions, Hedging
from meshware.retrying.policy import Retries, RetryOptions
from meshware.settings.sections.limiting import RateSettings
from meshware.settings.sections.retrying import HedgeSettings, RouteRetrySettings


def retries_of(settings: RouteRetrySettings, narrower: RouteRetrySettings | None = None) -> Retries:
    """As set, under what somebody narrower has set."""
    said = settings.model_dump(exclude={"budget"})
    if narrower is not None:
        said |= narrower.model_dump(exclude_unset=True)
    sets = {name: frozenset(said[name]) for name in ("methods", "statuses", "on", "headers")}
    return Retries(RetryOptions(**(said | sets)))


def hedging_of(settings: HedgeSettings, narrower: HedgeSettings | None = None) -> Hedging | None:
    """As set, under what somebody narrower has set; None where it is off."""
    said = settings.model_dump() | ({} if narrower is None else narrower.model_dump(exclude_unset=True))
    if not said.pop("enabled"):
        return None
    return Hedging(HedgeOptions(**(said | {"methods": frozenset(said["methods"])})))


def rate_of(settings: RateSettings | None) -> RateOptions | None:
    """As set; None: any number of calls."""
    return None if settings is None else RateOptions(settings.rate, settings.burst)
