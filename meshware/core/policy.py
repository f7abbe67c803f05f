"""The protocols: every door through which a policy, built-in or a user's own, meets the core.

None of them does I/O, sleeps, or reads a clock: `now` (monotonic seconds) is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from meshware.core.call import Attempt, Call
    from meshware.core.endpoint import Endpoint
    from meshware.core.fault import Injection
    from meshware.core.mirrored import Mirrored
    from meshware.core.operations import Operation
    from meshware.core.outcome import Ending, Outcome, Verdict
    from meshware.core.reply import Reply
    from meshware.core.request import Request


class Picker(Protocol):
    """Picks for one call, from the endpoints it was made with. Called on any thread; must not block.

    It may have a method `explain(call, pick) -> Endpoint`: the same pick, told to a `Pick` (core/telling.py). For a
    call that is `imagined` nothing may be taken or changed by it; it raises Unforeseen where that cannot be.
    """

    def pick(self, call: Call) -> Endpoint:
        """One of the endpoints; anything else, or an exception, hands the choice to the stand-in."""
        ...


class Strategy(Protocol):
    """Makes a picker when the set of available endpoints has changed, off the call path."""

    def picker(self, endpoints: Sequence[Endpoint]) -> Picker:
        """A picker over these endpoints, of which there is at least one."""
        ...


class PoolStrategy(Strategy, Protocol):
    """One over some of a service's endpoints, which may measure them for itself."""

    def leave(self) -> None:
        """Nobody picks by it any more: what it measured need not be."""
        ...


class Reading(Protocol):
    """What one meter has learned of one endpoint."""

    def sample(self, elapsed: float, failed: bool, outcome: Outcome, now: float) -> None:
        """One response time in seconds; a failure comes with its penalty included. `outcome` has the bare facts."""
        ...

    def value(self, now: float) -> float:
        """The figure, 0.0 while nothing is known."""
        ...

    def reset(self) -> None:
        """Forget everything: the endpoint is new again."""
        ...


class Meter(Hashable, Protocol):
    """What to measure, and over which window: equal meters share one reading per endpoint.

    One that reads load reports has an attribute `reports`: so many seconds after it was asked last an endpoint is asked
    again, 0.0 with each request. Without it nobody is asked for its sake.
    """

    def fleet(self) -> Any:
        """What the readings of one service's endpoints share; None when each stands alone."""
        ...

    def reading(self, fleet: Any) -> Reading:
        """A fresh reading for one endpoint of the fleet."""
        ...


class Scorer(Protocol):
    """The simplest strategy: a score per endpoint, lower is better, finite, at least 0.

    It may have a method `terms(endpoint, call) -> (score, {name: figure})`: the score, and what it is made of.
    """

    needs: tuple[Meter, ...]

    def score(self, endpoint: Endpoint, call: Call) -> float:
        """The cost of sending this call to this endpoint now."""
        ...


class Classifier(Protocol):
    """Judges an answer: by its headers, or with up to `needs_body` bytes of its body (at most 65,536; 0: none).

    It may have a method `wants_body(outcome) -> bool`, which says by status and headers whether this one is to be read.
    """

    needs_body: int

    def classify(self, request: Request, outcome: Outcome) -> Verdict:
        """What this outcome says of its endpoint. On the caller's thread or loop: it must not block."""
        ...


class Judge(Protocol):
    """A service's classifier, as its doors see it."""

    needs_body: int

    def wants(self, outcome: Outcome) -> bool:
        """Whether so much of this answer's body is to be read before it is judged."""
        ...

    def classify(self, request: Request, outcome: Outcome) -> Verdict:
        """The verdict; never raises."""
        ...


class Lease(Protocol):
    """The right to one call through a breaker; `trial` marks one of the few in half-open."""

    @property
    def trial(self) -> bool:
        """Whether this call decides if the breaker closes."""
        ...


class Breaker(Protocol):
    """Admission before a call, its outcome after; never I/O between. Thread-safe."""

    def admit(self, now: float) -> Lease | None:
        """A lease, or None while open. Every lease comes back by `record` or `release`."""
        ...

    def record(self, lease: Any, verdict: Verdict, now: float) -> None:
        """The outcome of an admitted call; one of an earlier epoch changes nothing."""
        ...

    def release(self, lease: Any, now: float) -> None:
        """The call says nothing of the other side: cancelled, or a local cause."""
        ...

    def until(self, now: float) -> float | None:
        """While open, the time of the next trial; None when closed."""
        ...


class Circuit(Breaker, Protocol):
    """The breaker over a service's calls, each counted once by its final outcome.

    `quiet`: successes need not be told; all that a healthy call reads of it after `admit`.
    """

    quiet: bool

    def body(self, lease: Any, broken: bool, now: float) -> None:
        """A successful answer's body has ended: it ends a row of failures, or takes the success back."""
        ...


class Ejection(Protocol):
    """Takes endpoints out after failures and brings them back; owns the trials of the returning ones."""

    @property
    def waiting(self) -> Any:
        """Truthy while any endpoint is ejected: the only thing the healthy path reads."""
        ...

    def trial(
        self, retryable: bool, now: float, within: Container[Endpoint] | None = None
    ) -> tuple[Endpoint, Lease] | None:
        """An ejected endpoint, one of those given, that should be tried by this call, with the lease for it."""
        ...

    def next_trial(self, retryable: bool, now: float, within: Container[Endpoint] | None = None) -> Endpoint | None:
        """Whose trial that would be; nothing is taken."""
        ...

    def record(self, attempt: Attempt, outcome: Outcome, now: float) -> None:
        """An attempt was answered or failed; judges and gives back its lease, if it holds one."""
        ...

    def body(self, attempt: Attempt, broken: bool, now: float) -> None:
        """A successful answer's body has ended: it ends a row of failures, or adds to it."""
        ...

    def release(self, attempt: Attempt, now: float) -> None:
        """The attempt ended and says nothing: gives back its lease, if it holds one."""
        ...

    def probes(self, now: float) -> Iterable[Endpoint]:
        """Endpoints due for a background connect (housekeeper)."""
        ...

    def connected(self, endpoint: Endpoint, ok: bool, now: float) -> None:
        """The result of a background connect (housekeeper)."""
        ...

    def review(self, now: float) -> None:
        """Compare the endpoints with each other (housekeeper): once a round, off a call's path."""
        ...

    def forget(self, endpoints: Sequence[Endpoint]) -> None:
        """These are gone from the service."""
        ...

    def word(self, endpoint: Endpoint) -> tuple[float, float]:
        """What this worker has found out itself: when it was ejected, or minus when it came back, and until when it is
        out; 0.0: nothing."""
        ...

    def heard(self, endpoint: Endpoint, good: int, bad: int, now: float) -> None:
        """So many answers of this host's other workers were good and bad there."""
        ...

    def follow(self, endpoint: Endpoint, word: float, until: float, now: float) -> None:
        """The latest word of this host's other workers, as above; 0.0: none of them says anything."""
        ...


class Guard(Protocol):
    """The fleet guard: tells a service that fails everywhere from endpoints that fail."""

    on: bool
    failures: float

    def record(self, failed: bool, now: float) -> None:
        """One attempt's verdict."""
        ...


class Budget(Protocol):
    """Pays for retries and hedges. Exact under any number of threads."""

    def deposit(self, now: float) -> None:
        """A first attempt succeeded."""
        ...

    def request(self, now: float) -> None:
        """A call began."""
        ...

    @property
    def tokens(self) -> float:
        """What this worker has."""
        ...

    @property
    def calls(self) -> int:
        """Calls of this worker that the capacity follows."""
        ...

    def join(self, tokens: float) -> None:
        """Others of this host have so many already."""
        ...

    def others(self, tokens: float, calls: float) -> None:
        """What the other workers of this host have now: all pay from one budget."""
        ...

    def affordable(self) -> bool:
        """Whether a token is there now."""
        ...

    def withdraw(self, now: float) -> bool:
        """Take one token, if there is one."""
        ...

    def give_back(self, now: float) -> None:
        """What was paid for was never sent."""
        ...


class RetryPolicy(Protocol):
    """Whether an outcome may be retried, and after how long."""

    attempts: int

    def retryable(self, request: Request) -> bool:
        """Whether this request could be sent a second time after bytes have gone out."""
        ...

    def allows(self, request: Request, outcome: Outcome) -> bool:
        """Whether sending this request again after this outcome does no harm and may help."""
        ...

    def delay(self, number: int, outcome: Outcome, *, same_endpoint: bool, rng: Rng) -> float:
        """Seconds to wait before attempt `number` (2 is the first retry)."""
        ...


class AttemptTimeout(Protocol):
    """How long one attempt may wait for its headers while another could still follow.

    So many times as long, `patience`, where its endpoint answers others meanwhile.
    """

    @property
    def patience(self) -> float:
        """1 or more."""
        ...

    def limit(self, operation: Operation, *, remaining: float, left: int, now: float) -> float | None:
        """Seconds; None for no limit but the call's. `left` counts this attempt and those that may follow."""
        ...


class Hedging(Protocol):
    """When a second attempt should start beside the first."""

    def delay(self, call: Call, now: float) -> float | None:
        """Seconds after the first; None for a call that is not hedged."""
        ...

    def foreseen(self, call: Call, now: float) -> float | None:
        """The same, where nothing is counted."""
        ...

    def take(self) -> bool:
        """Take one of the hedges that the calls so far allow, if there is one."""
        ...

    def give_back(self) -> None:
        """It was never sent."""
        ...


class Permits(Protocol):
    """Refuses calls before anything is sent."""

    def acquire(self, call: Call, now: float) -> str | None:
        """None when the call may go on; otherwise why not."""
        ...

    def release(self, call: Call, outcome: Outcome | None, now: float) -> None:
        """The call has ended, with this outcome; None when it says nothing."""
        ...

    def foreseen(self, call: Call, now: float) -> str | None:
        """Why such a call would be refused now, chance apart. Nothing is taken or changed."""
        ...


class Limiter(Permits, Protocol):
    """Those of a service: refused is what it cannot bear."""

    @property
    def in_flight(self) -> int:
        """Calls under way, this worker's."""
        ...

    @property
    def limit(self) -> float:
        """How many it thinks that there may be, by itself."""
        ...

    @property
    def spare(self) -> float:
        """How many more there may be, beside those of all workers of the host."""
        ...

    def others(self, in_flight: float, limits: Sequence[float]) -> None:
        """What the other workers of this host have in flight, and the limits that each has learned."""
        ...


class Rng(Protocol):
    """The part of `random.Random` that policies use; handed in, so that every choice can be repeated."""

    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What a discovery has found: each endpoint as settings would write it, an address or a dict.

    `valid_for`: seconds until it is asked again (1 to 86,400; of no meaning to `watch`). The very same answer with a
    tuple, given again, is not looked at again: nothing has changed.
    """

    found: Sequence[str | Mapping[str, Any]]
    valid_for: float = 30.0


class Discovery(Protocol):
    """Finds a service's endpoints, by being asked. Made once a service; making it must not block.

    Nothing that it does reaches a call: while it fails, what it found last stays in force, and it is asked again after
    1 s, then after longer, at most 30 s. One that costs next to nothing says so by an attribute `longest_wait`: so many
    seconds are the most then, and, where they are less than 1 (0.1 at least), an answer may be valid for as little.
    """

    def fetch(self, now: float) -> Endpoints:
        """All endpoints there are now. May block, on a thread that is not a caller's; given up after 10 s."""
        ...


class Stop(Protocol):
    """Says to a watching discovery when to end; a `threading.Event` has both methods."""

    def is_set(self) -> bool:
        """Whether to end."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep for so many seconds, or until it is time to end; whether it is."""
        ...


class WatchingDiscovery(Protocol):
    """Finds a service's endpoints by being told of changes; taken before `fetch` where a class has both."""

    def watch(self, publish: Callable[[Endpoints], None], stop: Stop) -> None:
        """Publish all endpoints at once and after each change, until told to stop, on a thread of its own.

        When it returns or raises before that, it is called again after a while.
        """
        ...


class Arrival(Protocol):
    """The first answer of a service's discovery, good or bad: what a call without endpoints waits for."""

    def wait(self, seconds: float) -> None:
        """Block this thread until it has come, at most so long."""
        ...

    async def wait_async(self, seconds: float) -> None:
        """The same for a task; its loop runs on."""
        ...

    def come(self) -> None:
        """It is there: everybody goes on. Any thread."""
        ...


class Hands(Protocol):
    """Threads for what may block (see meshware/hands.py)."""

    def give(
        self,
        key: object,
        work: Callable[[], Any],
        *,
        limit: float,
        done: Callable[[Any, Exception | None, float], None],
        lesser: bool = False,
    ) -> bool:
        """Have `work` done, then `done(result, error, now)` called; False while the key's last one is under way.

        `lesser` jobs leave hands to the others.
        """
        ...


class Checks(Protocol):
    """A service's active health checks. The housekeeper keeps them going."""

    def keep(self, now: float, hands: Hands) -> bool:
        """Do what is due; whether more is due soon. Must not block."""
        ...

    def word(self, endpoint: Endpoint) -> float:
        """What this worker has found itself: when it was found ailing, or minus when well again; 0.0: nothing."""
        ...

    def follow(self, endpoint: Endpoint, word: float, mine: bool, now: float) -> None:
        """The latest word of this host's other workers, as above; and whether this worker is the one who checks."""
        ...

    def status(self, endpoint: Endpoint, now: float) -> dict[str, Any]:
        """What was said last, and how many seconds ago, as plain data."""
        ...

    def take_over(self, old: Self) -> None:
        """Go on where those of a service of the same name were."""
        ...

    def drop(self) -> None:
        """Nobody goes on with these: what they found is nobody's fault any more."""
        ...


class Source(Protocol):
    """What stands behind a service whose endpoints are discovered. The housekeeper keeps it going."""

    @property
    def choice(self) -> object:
        """What the settings chose it by."""
        ...

    @property
    def name(self) -> str:
        """What the settings call it; of several, all of them."""
        ...

    @property
    def due(self) -> float:
        """When it wants to be kept next."""
        ...

    @property
    def said(self) -> str:
        """Why there is nothing, where there is nothing."""
        ...

    def keep(self, now: float, hands: Hands) -> None:
        """Do what is due. Must not block."""
        ...

    def status(self, now: float) -> dict[str, Any]:
        """Age, error and failures, as plain data."""
        ...

    def yield_waiting(self) -> None:
        """Another one answers the calls that wait for a first answer."""
        ...

    def stop(self) -> None:
        """Nobody wants its answers any more."""
        ...


class Parts(Protocol):
    """Makes a service's parts, each by the method of its name (core/service.py), when the service first needs it."""

    making: Any
    """The re-entrant lock under which they are made, so that two threads never have two of one."""

    breathe: Callable[[], None]
    """Lets other threads run for a moment, in the midst of long work."""

    def fit(self, service: Any) -> bool:
        """Whether another service's parts are as these would make them."""
        ...


class Client(Protocol):
    """An HTTP library whose calls can go by the mesh."""

    def find(self) -> ModuleType | None:
        """Its module; None when it is not installed. Must not raise for that."""
        ...

    def instrument(self, find_mesh: Callable[[], Any]) -> None:
        """Send mesh names by the mesh that `find_mesh` gives at each call, or None. Idempotent: the last one counts."""
        ...

    def uninstrument(self) -> None:
        """The library is what it was. Idempotent."""
        ...


class Framework(Protocol):
    """A web framework whose apps can be put on the mesh."""

    def middleware(self, app: Any, mesh: Any) -> None:
        """Put this mesh under the app: each request runs in a context of its own."""
        ...

    def load_settings(self, app: Any) -> Mapping[str, Any]:
        """The mesh's settings, as this framework's apps have them. Raises SettingsError where there are none."""
        ...


class Observer:
    """Base for whoever watches; every method is optional, called on the caller's thread, and must not block.

    An observer that raises is counted and never disturbs the call.
    """

    def on_begin(self, call: Call, attempt: Attempt, headers: dict[str, str], now: float) -> None:
        """An attempt is about to be sent; may add headers to it."""

    def on_answer(self, call: Call, attempt: Attempt, outcome: Outcome, step: object, now: float) -> None:
        """Headers or an error have come, and what follows from them."""

    def on_end(self, call: Call, attempt: Attempt, ending: Ending, wire: float, now: float) -> None:
        """A body has ended; `wire` is the seconds spent waiting for the endpoint."""

    def on_abandon(self, call: Call, attempt: Attempt, now: float) -> None:
        """The caller went away before an answer."""

    def on_fallback(self, call: Call, reply: Reply, now: float) -> None:
        """The caller gets this in place of the failure that the call has ended in."""

    def on_fault(self, call: Call, injection: Injection, now: float) -> None:
        """This is injected into the call or one of its attempts, as the settings, a test or a trusted caller say."""

    def on_mirror(self, call: Call, mirrored: Mirrored, now: float) -> None:
        """The call's copy for another service was answered, failed or dropped; on whichever thread that is known."""

    def on_done(self, call: Call, error: BaseException | None, now: float) -> None:
        """The call was decided: delivered, or raised."""

    def on_event(self, event: object) -> None:
        """A fact apart from calls (see core/events.py)."""
