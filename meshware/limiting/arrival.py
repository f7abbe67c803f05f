"""What is known of a request that arrives, and what it is told when it is refused."""

from __future__ import annotations

from typing import NamedTuple

from meshware.core.criticality import Criticality
from meshware.core.deadline import Deadline
from meshware.limiting.rate import holder


class Refusal(NamedTuple):
    """A request is refused: the status of its answer, why in a word, and after how many seconds to come again."""

    status: int
    reason: str
    retry_after: int | None = None


class Arrival(NamedTuple):
    """What is known of a request that begins. `waited`: seconds that it has waited before, None where nobody says."""

    method: str
    path: str
    criticality: Criticality | None = None
    caller: str | None = None
    peer: str = ""
    deadline: Deadline | None = None
    waited: float | None = None

    @property
    def key(self) -> str:
        """Who asks: the name that a trusted peer gave him, else whose address it is."""
        return f"name {self.caller}" if self.caller is not None else holder(self.peer)

    def under(self, prefix: str) -> bool:
        """Whether its path is this one or below it: `/v2` is not above `/v20`."""
        return under(self.path, prefix)


def under(path: str, prefix: str) -> bool:
    """Whether the path is this one or below it: `/v2` is not above `/v20`."""
    return path.startswith(prefix) and (len(path) == len(prefix) or prefix.endswith("/") or path[len(prefix)] == "/")
