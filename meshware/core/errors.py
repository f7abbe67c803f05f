"""The one tree of errors: named by whose fault it is and what to do about it.

Each message gives the value, the limit and the setting to change. The clients' own exceptions pass
through unchanged; these are raised only where meshware itself refused or ended a call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import Repr


class MeshError(Exception):
    """The root of everything that meshware raises of its own."""

    def __reduce__(self) -> tuple[object, ...]:
        return (_revive, (type(self), self.args, self.__dict__))


def _revive(kind: type[MeshError], args: tuple[object, ...], state: dict[str, object]) -> MeshError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class DeadlineExceeded(MeshError):
    """The call's deadline passed, or had passed before anything was sent; or an attempt's did, and no other followed.

    `timeout` is what the call had in all, in seconds; `attempts` how many were sent, of `most`. `expected`: seconds
    that four in five of such calls have taken of late, where so little was left that nothing was sent; else None.
    `attempt_timeout`: seconds that the last attempt had, where that was its deadline and not the call's; else None.
    """

    def __init__(
        self,
        service: str,
        timeout: float,
        attempts: int,
        *,
        expected: float | None = None,
        attempt_timeout: float | None = None,
        most: int = 1,
    ) -> None:
        self.service, self.timeout, self.attempts, self.expected = service, timeout, attempts, expected
        self.attempt_timeout = attempt_timeout
        if attempt_timeout is not None:
            super().__init__(
                f"{service}: attempt {attempts} of {most} had no answer within {attempt_timeout:.3f} s, and none "
                f"followed (settings: services.{service}.attempt_timeout, .retry); the call had {timeout:.3f} s"
            )
            return
        if expected is not None:
            super().__init__(
                f"{service}: deadline of {timeout:.3f} s would be exceeded, nothing was sent: four in five answers "
                f"take {expected:.3f} s or more (settings: services.{service}.timeout, .limits.feasible)"
            )
            return
        sent = "nothing was sent" if attempts == 0 else f"{attempts} attempt(s) sent"
        super().__init__(
            f"{service}: deadline of {timeout:.3f} s exceeded, {sent} (setting: services.{service}.timeout)"
        )


class NoEndpoint(MeshError):
    """No endpoint of the service may be used now; `states` says why for each address."""

    def __init__(self, service: str, states: Mapping[str, str]) -> None:
        self.service, self.states = service, dict(states)
        each = "; ".join(f"{address}: {state}" for address, state in states.items()) or "it has none"
        super().__init__(f"{service}: no available endpoint ({each})")


class CircuitOpen(MeshError):
    """The service's circuit is open: calls are refused until about `until` (monotonic seconds)."""

    def __init__(self, service: str, until: float, wait: float) -> None:
        self.service, self.until, self.wait = service, until, wait
        super().__init__(
            f"{service}: circuit open, next trial in {max(0.0, wait):.1f} s (setting: services.{service}.circuit)"
        )


class Overloaded(MeshError):
    """A limiter of ours refused the call before anything was sent."""

    def __init__(self, service: str, reason: str) -> None:
        self.service, self.reason = service, reason
        super().__init__(f"{service}: refused by the limiter ({reason})")


class InsecureService(MeshError):
    """`https://` was asked of a service that has no `tls`: nothing was sent."""

    def __init__(self, service: str) -> None:
        self.service = service
        super().__init__(f"{service}: https needs TLS settings (setting: services.{service}.tls)")


class BadHeader(MeshError):
    """The request holds a header value that cannot be sent (CR, LF, NUL or outside latin-1)."""


class MissingExtra(MeshError, ImportError):
    """An optional library is needed; `extra` is what to install."""

    def __init__(self, library: str, extra: str) -> None:
        self.library, self.extra = library, extra
        super().__init__(f'{library} is not installed: pip install "meshware[{extra}]"')


class PluginError(MeshError):
    """A plugin that the settings name cannot be used; says which and why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the settings: its path, what stands there, what would be right.

    `where` it was written, if that is known: `mesh.yaml:7`, or an environment variable's name.
    """

    path: str
    value: object
    expected: str
    nearest: str | None = None
    where: str | None = None

    def __str__(self) -> str:
        shown = _shown(self.value)
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        origin = f"{self.where}: " if self.where else ""
        return f"{origin}{self.path or '(settings)'}: {shown}: {self.expected}{hint}"


def _shown(value: object) -> str:
    """At most 80 characters of it, however large, deep or broken it is."""
    short = Repr()
    short.maxstring = short.maxother = short.maxlong = 80
    try:
        text = short.repr(value)
    except Exception:  # such as an integer of more digits than Python will print
        return f"<{type(value).__name__}>"
    return text if len(text) <= 80 else text[:77] + "..."


class SettingsError(MeshError):
    """The settings are refused; `problems` holds every fault found, each with its path."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        super().__init__(f"{len(self.problems)} problem(s) in the settings:\n{lines}")
