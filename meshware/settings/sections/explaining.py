"""What is kept of the decisions about calls."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshware.settings.model import Model, Number


class ExplainSettings(Model):
    """Explanations of the last calls, for `mesh.explained()`."""

    keep: Annotated[int, Field(ge=0, le=100_000, strict=True), Number] = Field(
        0,
        description="So many of the last calls are kept in each worker process with all that decided them, 2 to 4 KiB "
        "each and more in large fleets; 0: none.",
    )
