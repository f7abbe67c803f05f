"""What is simulated: a fleet, its clients, the work that arrives, and what goes wrong. Data, checked by pydantic."""

from __future__ import annotations

from collections.abc import Iterator
from math import exp, log
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ModelWrapValidatorHandler, model_validator

from meshware.core.endpoint import Locality
from meshware.settings import grammar
from meshware.settings.model import Model, Seconds
from meshware.testing.simulation.checks import checked

_NO_BOOL = BeforeValidator(grammar.no_bool)
Positive = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False, strict=True), _NO_BOOL]
Natural = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False, strict=True), _NO_BOOL]
Pause = Annotated[float, Field(ge=0.01, le=1e6, allow_inf_nan=False, strict=True), _NO_BOOL]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, strict=True), _NO_BOOL]
Number = Annotated[int, Field(ge=1, le=100_000, strict=True), _NO_BOOL]
Index = Annotated[int, Field(ge=0, le=100_000, strict=True), _NO_BOOL]


def _not_empty(value: Any) -> Any:
    if isinstance(value, list | tuple) and not value:
        raise ValueError("one at least")
    return value


_SOME = BeforeValidator(_not_empty)


class Operation(Model):
    """A kind of request: how often, and how much work."""

    path: str = Field("/items", description="Its path.")
    share: Positive = Field(1.0, description="How often, beside the others.")
    work: Positive = Field(0.01, description="Mean seconds of one slot at speed 1.")
    spread: Literal["fixed", "exponential", "lognormal"] = Field("exponential", description="How the work is spread.")
    fresh: bool = Field(
        False, description="Whether a second attempt has work of its own: what varies is the server, not the request."
    )
    sigma: Positive = Field(1.2, description="Of the logarithm, where it is lognormal.")

    def draw(self, uniform: float, normal: float) -> float:
        """One request's work, from a uniform and a normal random number."""
        if self.spread == "fixed":
            return self.work
        if self.spread == "exponential":
            return -self.work * log(1.0 - uniform)
        return self.work * exp(self.sigma * normal - self.sigma**2 / 2)


class Replicas(Model):
    """Some replicas that are alike."""

    count: Number = Field(10, description="How many.")
    slots: Number = Field(4, description="Requests that each works on at once.")
    speed: Positive = Field(1.0, description="Work done per second and slot.")
    locality: str = Field("", description="`cloud/region/zone`, as many parts as are known.")
    weight: Natural = Field(1.0, description="Weight in the settings.")
    queue: Natural | None = Field(
        None,
        description="Seconds of healthy work that may wait; what comes on top is answered 503 at once, and what its "
        "caller has given up is not begun. Without end, unless given.",
    )


class Clients(Model):
    """Some client processes that share nothing."""

    count: Number = Field(8, description="How many.")
    share: Positive = Field(1.0, description="How many requests each of them makes, beside the others.")
    locality: str = Field("", description="`cloud/region/zone`, as many parts as are known.")


class Fault(Model):
    """What goes wrong, when, and where."""

    kind: Literal["slow", "gray", "stall", "fail", "silent", "crash", "drain"] = Field(
        description="`slow` by `factor`; `gray`: a share of `rate` is as much work as `takes` says; "
        "`stall`: no work is done; `fail`: a share of `rate` is answered 500 at once; "
        "`silent`: accepts and never answers; `crash`: connections are refused; `drain`: taken out by hand."
    )
    at: Natural = Field(description="Seconds from the start.")
    lasts: Positive = Field(1e6, description="Seconds.")
    replicas: tuple[Index, ...] | None = Field(None, description="By their numbers from 0; all, unless given.")
    locality: str | None = Field(None, description="All whose locality begins so, instead of numbers.")
    factor: Positive = Field(10.0, description="Of `slow`: so many times slower. Of `crash`: while it is cold.")
    cold: Natural = Field(0.0, description="Of `crash`: seconds for which it is slow when it is back.")
    rate: Share = Field(1.0, description="Of `fail` and of `gray`.")
    takes: Positive = Field(1.0, description="Of `gray`: seconds of one slot at speed 1.")
    path: str | None = Field(None, description="Of `slow`: the only operation that is.")
    every: Pause | None = Field(None, description="Seconds from one beginning to the next; once, unless given.")

    def strikes(self, number: int, locality: Locality) -> bool:
        """Whether this replica is among those that it is put upon."""
        if self.replicas is not None:
            return number in self.replicas
        begins = self.locality.split("/") if self.locality else []
        return list(locality[: len(begins)]) == begins


class Load(Model):
    """A load that holds from a moment on."""

    at: Natural = Field(description="Seconds from the start.")
    load: Natural = Field(description="Work that arrives over what the fleet can do.")


class Burst(Model):
    """A load that comes and goes."""

    load: Natural = Field(description="Work that arrives over what the fleet can do, within a burst.")
    every: Pause = Field(description="Seconds from one to the next.")
    lasts: Positive = Field(description="Seconds.")


class Scenario(Model):
    """A fleet, its clients, the work, the faults. Times in seconds from the start."""

    name: str = Field("scenario", description="What the table calls it.")
    about: str = Field("", description="A line for people.")
    duration: Positive = Field(12.0, description="Seconds in which requests arrive.")
    begin: Natural = Field(2.0, description="Requests that arrive earlier are not counted.")
    deadline: Seconds = Field(1.0, description="Seconds a call has; a lost one counts as so long.")
    load: Natural = Field(0.8, description="Work that arrives over what the whole fleet can do.")
    loads: tuple[Load, ...] = Field((), description="Other loads, from a moment on.")
    bursts: Burst | None = Field(None, description="A load that comes and goes.")
    replicas: Annotated[tuple[Replicas, ...], _SOME] = Field((Replicas(),), description="The fleet.")
    clients: Annotated[tuple[Clients, ...], _SOME] = Field((Clients(),), description="Who calls.")
    operations: Annotated[tuple[Operation, ...], _SOME] = Field((Operation(),), description="What is asked for.")
    faults: tuple[Fault, ...] = Field((), description="What goes wrong.")
    reports: bool = Field(False, description="Whether answers tell the load (ORCA).")
    rtt: Natural = Field(0.0005, description="Seconds there and back, within a zone.")
    rtt_zones: Natural = Field(0.001, description="Between zones of a region.")
    rtt_regions: Natural = Field(0.03, description="Between regions, or clouds.")
    settings: dict[str, Any] = Field({}, description="Further settings of the service: retry, ejection, ...")

    @model_validator(mode="wrap")
    @classmethod
    def _fits_together(cls, data: Any, handler: ModelWrapValidatorHandler[Scenario]) -> Scenario:
        return checked(data, handler)

    @property
    def title(self) -> str:
        """Its name, and what it is about."""
        return f"{self.name}: {self.about}" if self.about else self.name

    @property
    def capacity(self) -> float:
        """Work that the whole fleet can do in a second."""
        return sum(each.count * each.slots * each.speed for each in self.replicas)

    @property
    def mean_work(self) -> float:
        """Of one request."""
        total = sum(each.share for each in self.operations)
        return sum(each.share * each.work for each in self.operations) / total

    @property
    def requests(self) -> float:
        """How many may arrive, were the load always at its heaviest."""
        return self.heaviest() * self.capacity / self.mean_work * self.duration

    def load_at(self, time: float) -> float:
        """The load in force then."""
        if self.bursts is not None and time % self.bursts.every < self.bursts.lasts:
            return self.bursts.load
        return next((each.load for each in reversed(self.loads) if each.at <= time), self.load)

    def heaviest(self) -> float:
        """The most that it ever is."""
        bursts = [] if self.bursts is None else [self.bursts.load]
        return max([self.load, *bursts, *(each.load for each in self.loads)])

    def distance(self, one: Locality, other: Locality) -> float:
        """Seconds there and back."""
        if one[:2] != other[:2]:
            return self.rtt_regions
        return self.rtt if one == other else self.rtt_zones

    def members(self) -> Iterator[Replicas]:
        """One for each replica."""
        for each in self.replicas:
            yield from [each] * each.count

    def callers(self) -> Iterator[Clients]:
        """One for each client."""
        for each in self.clients:
            yield from [each] * each.count
