"""Shifts: from one service to another, a step at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from meshware.settings.model import Count, Model, Number, Seconds, Share
from meshware.settings.sections.matching import Name, Percentage
from meshware.settings.sections.routing import StickySettings, SubsetSettings


class ShiftGuardSettings(Model):
    """When a shift goes back by itself; by a host's last 100 calls of the new service, or `minimum` if more."""

    error_rate: Share | None = Field(0.05, description="Share of them that failed above which it does.")
    p99: Seconds | None = Field(None, description="Seconds to the headers that 1 % of them took longer than.")
    minimum: Count = Field(20, description="Calls in a step that it looks at before it judges, or goes a step on.")


def _ascending(steps: tuple[float, ...]) -> tuple[float, ...]:
    if not steps or steps[0] <= 0 or any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError("percentages above 0, each more than the one before")
    return steps


class ShiftSettings(Model):
    """Calls of a service that go to another one, more with each step. What routes decide first is not shifted."""

    name: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="What it is called.")
    service: Name = Field(description="The service whose calls they are, where they go at first.")
    subset: SubsetSettings | None = Field(None, description="Which of its endpoints they go to; all unless set.")
    to: Name = Field(description="The service where they go in the end.")
    to_subset: SubsetSettings | None = Field(None, description="Which of that one's endpoints.")
    sticky: StickySettings | None = Field(None, description="Who has gone over stays there in later steps.")
    steps: Annotated[tuple[Annotated[Percentage, Number], ...], AfterValidator(_ascending)] = Field(
        (1.0, 5.0, 25.0, 50.0, 100.0), description="Of the calls, how many go over in each step."
    )
    hold: Seconds = Field(300.0, description="Seconds that a step lasts at least.")
    guard: ShiftGuardSettings = Field(ShiftGuardSettings(), description="When it goes back by itself, at once.")
