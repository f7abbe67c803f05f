"""Mesh: the services of one set of settings, and the way in for every door.

A process has at most one default mesh, the first installed. Equal settings are the same mesh.
Thread-safe. Nothing starts before the first call; a forked child starts anew.
"""

from __future__ import annotations

import atexit
import logging
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from meshware import plugins
from meshware.context import RequestContext, current, override
from meshware.core.call import Call
from meshware.core.deadline import Deadline
from meshware.core.errors import MeshError
from meshware.core.events import PluginFailed, SettingsRefused, SettingsReloaded
from meshware.core.plan import Plan
from meshware.core.policy import Observer
from meshware.core.request import Request
from meshware.core.service import HOOKS, described
from meshware.health.load import Load
from meshware.housekeeper import Attended, Chore, Housekeeper

if TYPE_CHECKING:
    from meshware.core.endpoint import Endpoint
    from meshware.core.policy import Hands, Rng
    from meshware.core.service import Service
    from meshware.explain.explanation import Explanation
    from meshware.explain.kept import Kept
    from meshware.following import Following
    from meshware.limiting.admission import Admission
    from meshware.routing.shift import Shift
    from meshware.settings.model import PluginChoice
    from meshware.settings.schema import MeshSettings
    from meshware.sharing.board import Board
    from meshware.sharing.counts import Count
    from meshware.shifting import Shifting

DEFAULT_PORTS = {"http": 80, "https": 443}

NO_HEADERS: Mapping[str, str] = MappingProxyType({})

OWN: Any = object()
"""In place of a source: the one that the settings came from."""


class Mesh:
    """The services that the settings name, ready for calls. Make one by `Mesh.from_settings`.

    `load` is what this process is busy with, as far as a door in counts its requests.
    """

    def __init__(
        self,
        settings: MeshSettings,
        *,
        observers: Iterable[Observer] = (),
        rng: Rng = random,  # the module: its functions are reseeded after a fork
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = self.source = settings
        self.environ: Mapping[str, str] | None = None
        self._file: Following | None = None  # where its settings come from, while that is followed
        self.clock = clock
        self._rng = rng
        self._handed = self._observers = tuple(observers)
        self._named: tuple[PluginChoice, ...] = ()
        self._changing = threading.Lock()
        self._attended = Attended(clock)
        self._keeper = Housekeeper(self._attended.services, clock=clock, sweep=self._sweep, chores=self._chores)
        self._board: Board | None = None
        self._shifting: Shifting | None = None
        self.services: Mapping[str, Service] = {}
        self._names: Mapping[tuple[str, str, int], Service] = {}
        self.plugin_failures = 0
        self._kept: Kept | None = None  # why the last calls went where they did, where that is kept
        self._make: Callable[..., Call] = Call
        self.load = Load(clock)
        self.admission: Admission | None = None
        self._loaded = clock()
        self._put(settings, {})
        _alive.add(self)

    @classmethod
    def from_settings(
        cls, source: Any, *, observers: Iterable[Observer] = (), environ: Mapping[str, str] | None = None
    ) -> Mesh:
        """The mesh of these settings: a mapping, a file, a dotted module path, or the settings model.

        `environ`: whose `MESHWARE__...` variables stand above the source, now and at each reload; none unless
        given. A file is followed, unless its settings say `follow: false`. Equal settings, or the same file, give the
        same mesh; `observers` and `environ` are those of its first making. Raises SettingsError with every problem
        found.
        """
        settings, file = _opened(source, environ=environ, clock=time.monotonic)
        with _registry_lock:
            mesh = next((each for each in _registry if each._is_of(settings, file, environ)), None)
            if mesh is None:
                mesh = cls(settings, observers=observers)
                mesh.environ, mesh.source, mesh._file = environ, source, file
                _registry.append(mesh)
            return mesh

    def _is_of(self, settings: MeshSettings, file: Following | None, environ: Mapping[str, str] | None) -> bool:
        """Whether it has these settings, or will have, for it follows the same file."""
        if file is None or self._file is None:
            return file is self._file and self.settings == settings
        return file.path == self._file.path and (self.environ == environ or self.settings == settings)

    @staticmethod
    def register(name: str, strategy: type) -> None:
        """Have settings know a strategy class of yours by this name, without packaging it.

        To be called before the settings that use it are loaded. Raises PluginError for a name that is taken.
        """
        plugins.register(plugins.STRATEGIES, name, strategy)

    override = staticmethod(override)

    def install(self) -> Mesh:
        """Make this the process's default mesh, if there is none yet."""
        global _default
        with _registry_lock:
            if _default is None:
                _default = self
        return self

    def __enter__(self) -> Mesh:
        """For one block: `with Mesh.from_settings(...) as mesh:`."""
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # For the doors

    def find(self, scheme: str, host: str, port: int | None) -> Service | None:
        """The service of this exact name, or None: then the call is none of ours.

        Case and one trailing dot do not matter; a port, if given, must be the name's.
        """
        if port is None:
            port = DEFAULT_PORTS.get(scheme, 0)
        service = self._names.get((scheme, host.lower().removesuffix("."), port))
        return service if service is None or host.isascii() else None  # some letters' lower case is ASCII

    def call(self, service: Service, request: Request) -> Call:
        """A call to be driven, within the inbound request in force on this thread or task.

        Routes decide here, once: it may be another service's, with another request, by a plan of its own.
        """
        if service.routes is None:
            return self.call_unrouted(service, request)
        if self._kept is not None:
            return self.call_unrouted(*self._kept.route(service, request, current(), self.clock()))
        routed, request, plan = service.routes.route(service, request, current(), self.clock())
        return self.call_unrouted(routed, request, plan)

    def call_unrouted(
        self, service: Service, request: Request, plan: Plan | None = None, make: Callable[..., Call] | None = None
    ) -> Call:
        """The same for a door that cannot do what routes say: by the service's own policies, whatever they say.

        `make`: what the call is, where routes have been asked.
        """
        if not self._keeper.running:
            self._keeper.start()
        if not service.attended:
            service.complete(self.clock())
            self._attended.add(service)
            self._keeper.stir()
        context = current()
        if context is not None and context.override is not None:
            plan = _overridden(service, context, plan)
        return (make or self._make)(service, request, context=context, plan=plan)

    def failed(self, part: str, error: Exception) -> None:
        """A part of ours misbehaved where a request was served, which goes on without it."""
        self._emit(PluginFailed(self.settings.service or "(unnamed)", self.clock(), part, described(error)))

    def keep_up(self) -> None:
        """Have what is followed be followed from now on, even if there is no call. Cheap to call again."""
        if self._file is not None:
            self.keep()

    def keep(self) -> None:
        """Have the housekeeper run, as after a first call. Cheap to call again."""
        if not self._keeper.running:
            self._keeper.start()

    # For the operator

    def reload(self, source: Any = OWN) -> None:
        """Put new settings in force, or read again those that it has, where they came from.

        Wrong ones raise SettingsError and leave the old in force. Endpoints keep all that was learned of them, and
        calls under way end as they began. The source is the mesh's from now on: a file is followed, all else is not.
        """
        source = self.source if source is OWN else source
        try:
            settings, file = _opened(source, environ=self.environ, clock=self.clock)
            with self._changing:
                changes = self._change(settings)
                self.source, self._file = source, file
        except MeshError as error:
            self.refused(str(error))
            raise
        self._emit(SettingsReloaded(self.settings.service, self.clock(), changes))

    def following(self) -> dict[str, Any]:
        """The file that the settings follow, how many seconds ago it said what is in force, and what is wrong with it
        since. As plain data; empty where none is followed.
        """
        file = self._file
        return {} if file is None else file.status(self.clock())

    def status(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Per service and endpoint: its state and what is in flight, as plain data.

        `age`, of a discovered one: seconds since its source last confirmed it. `health`, where it is checked: what the
        last check said, and its age.
        """
        now = self.clock()
        return {
            name: {each.address: _state(each, service, now) for each in service.endpoints}
            for name, service in self.services.items()
        }

    def sources(self) -> dict[str, dict[str, Any]]:
        """Per service whose endpoints are discovered: the source's name, the age of what it said, its failures."""
        now = self.clock()
        return {name: each.source.status(now) for name, each in self.services.items() if each.source is not None}

    def mirrors(self) -> list[dict[str, Any]]:
        """Per mirror of a route: its service, copies that were sent, of those failed, alike and unlike, and `dropped`
        ones by the reason. As plain data."""
        routes = (each.routes for each in self.services.values() if each.routes is not None)
        return [mirror.status() for each in routes for mirror in each.mirrors]

    def shifts(self) -> list[dict[str, Any]]:
        """Per shift: where it stands, since how many seconds and why; of this step, how many calls of the new service
        this host's workers have seen, and how many of them failed or were slower than its p99. As plain data."""
        now = self.clock()
        return [each.status(now) for each in self._shifts()]

    def shift(self, name: str, deed: str) -> None:
        """`pause`, `resume`, `revert` or `promote` a shift; this host's other workers follow.

        Raises KeyError for a shift that is not there.
        """
        found = {each.name: each for each in self._shifts()}
        found[name].steer(deed, self.clock())

    def _shifts(self) -> Sequence[Shift]:
        return () if self._shifting is None else self._shifting.shifts

    def inbound(self) -> dict[str, Any]:
        """What this process takes on: requests that hold a place, the limit (None: none), and how many were refused, by
        the reason. As plain data; empty where nothing is ever refused.
        """
        admission = self.admission
        if admission is None:
            return {}
        return {"in_flight": admission.in_flight, "limit": admission.limit, "refused": dict(admission.refused)}

    def explain(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        context: Mapping[str, Any] | None = None,
        identity: str | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Explanation:
        """What would become of such a call, made here and now, and why. Nothing is changed or taken by asking.

        `context`: what the app would say of its request by `annotate()`; `identity`: who would have made that, and
        `deadline`: the seconds that it would have left. `timeout`: what the client would be given. What is not said is
        as it is in force here. Raises ValueError for a URL that the mesh leaves alone.
        """
        from meshware.explain.imagining import Headers, imagine

        target = urlsplit(url)
        service = self.find(target.scheme, target.hostname or "", target.port)
        if service is None:
            raise ValueError(f"{url} goes by no service of this mesh: {', '.join(self.services) or 'it has none'}")
        inbound = current()
        if context is not None or identity is not None or deadline is not None:
            inbound = RequestContext(mesh=self) if inbound is None else inbound.view()
            inbound.attributes = inbound.attributes | dict(context or {})
            inbound.identity = identity or inbound.identity
            if deadline is not None:
                inbound.deadline = Deadline.after(deadline, self.clock())
        request = Request(
            method,
            service.name,
            target.path or "/",
            Headers(headers),
            query=target.query,
            timeout=timeout,
            name=None if inbound is None else inbound.operation,
        )
        return imagine(service, request, inbound, overridden=_overridden, now=self.clock())

    def explained(self, request_id: str | None = None) -> tuple[Explanation, ...]:
        """What was decided of the calls made for a request, the oldest first; of all that are kept, without an id.

        The id is the call's `x-request-id` header, else what `annotate(request_id=...)` has said. Nothing is kept
        unless the settings say `explain: {keep: N}`.
        """
        return () if self._kept is None else self._kept.find(request_id)

    def board(self) -> dict[str, Any]:
        """Where this host's workers share what they learn, which do, and what all of them have in flight; or, under
        `reason`, why this one does not. As plain data."""
        return {"path": None, "reason": "off"} if self._board is None else self._board.status()

    def counts(self) -> dict[str, Count]:
        """Answers by service over all workers of this host that are or were, exact; none where nothing is shared."""
        return {} if self._board is None else self._board.counts()

    def close(self) -> None:
        """End the background thread and forget the mesh. Calls under way end as they would."""
        global _default
        with _registry_lock:
            if _default is self:
                _default = None
            _registry[:] = [mesh for mesh in _registry if mesh is not self]
        self._file = None
        self._keeper.stop()
        if self._board is not None:
            self._board.close(self.clock())
        for service in self.services.values():
            if service.source is not None:
                service.source.stop()
            for part in _strategies(service):
                if getattr(part, "probes", False) is True and part.prober is not None:
                    part.prober.stop()

    # For the file that is followed, on a thread of the housekeeper's

    def follow(self, file: Following, settings: MeshSettings) -> None:
        """Put in force what it says now, unless another source was chosen meanwhile. Raises MeshError."""
        with self._changing:
            if file is not self._file or settings == self.settings:
                return
            changes = self._change(settings)
            if not settings.follow:
                self._file = None
        self._emit(SettingsReloaded(settings.service, self.clock(), changes))

    def refused(self, error: str) -> None:
        """New settings are wrong, and the old ones stay."""
        self._emit(SettingsRefused(self.settings.service, self.clock(), error))

    def _chores(self, now: float, hands: Hands) -> Chore | None:
        """Look at the file when it is time, and at the shifts."""
        file, shifting = self._file, self._shifting
        if file is not None:
            file.keep(now, hands, self)
        if shifting is not None:
            shifting.keep(now, hands)
        if file is None or shifting is None:
            return file or shifting
        return file if file.due < shifting.due else shifting

    # Inside

    def _change(self, settings: MeshSettings) -> tuple[str, ...]:
        """Put these in force; what they change."""
        from meshware.settings.changes import changes, in_words

        before, self._loaded = self.settings, self.clock()
        self._put(settings, self.services)
        try:
            return tuple(in_words(changes(before, settings)))
        except Exception as error:  # values of the user's own that cannot be compared or shown: they are in force
            self.failed("what has changed", error)
            return ()

    def _put(
        self, settings: MeshSettings, previous: Mapping[str, Service], found: Mapping[str, Service] | None = None
    ) -> None:
        from meshware.assembly.host import admission, board, shifting
        from meshware.assembly.services import assemble

        observers = self._observers
        if settings.observers != self._named:
            observers = (*self._handed, *(plugins.observer(each.name, each.options) for each in settings.observers))
        services = assemble(
            settings,
            previous,
            rng=self._rng,
            emit=self._emit,
            now=self.clock(),
            loaded=self._loaded,
            found=found,
            hooks=self._hooks,
            wake=self._wake,
            breathe=partial(time.sleep, 0),
            lateness=self._keeper.lateness,
        )
        for name, service in services.items():
            looked_after = service.source is not None or service.checks is not None or service.used
            if looked_after and previous.get(name) is not service:
                self._attended.add(service)
        for name, service in previous.items():
            if services.get(name) is not service:
                service.retired = True
                service.checks = None
                if service.source is not None:
                    service.source.stop()
                    service.source = None
        if observers is not self._observers:
            self._observers, self._named = observers, settings.observers
            for service in services.values():
                service.forget(HOOKS)
        if self._board is None or settings != self.settings:
            if self._board is not None:
                self._board.close(self.clock())
            self._board = board(
                settings, services=self._attended.now, shifts=self._shifts, serves=self.load, emit=self._emit
            )
        self._keep(settings.explain.keep)
        if self.admission is None or settings.inbound != self.settings.inbound:
            self.admission = admission(settings, rng=self._rng)
        self.settings = settings
        self.load.slots = settings.slots
        self.services = services
        self._names = {key: services[name] for name in services for key in keys(name)}
        self._shifting = shifting(
            settings, services, clock=self.clock, failed=lambda error: self.failed("shifts", error)
        )
        if self._shifting is not None:
            self._shifting.begin()
        self._keeper.wake()

    def _keep(self, most: int) -> None:
        """So many explanations from now on; while that stays the same, so do those that are there."""
        if most == 0:
            self._kept, self._make = None, Call
        elif self._kept is None or self._kept.most != most:
            from meshware.explain.kept import Kept

            self._kept = Kept(most)
            self._make = self._kept.call

    def _sweep(self, now: float) -> bool:
        """Exchange what this host's workers know, for the housekeeper; whether it is to come again soon."""
        board = self._board
        return (board is not None and board.sweep(now)) or self._attended.lately(now)

    def _wake(self, service: Service) -> None:
        """The service has changed: the next round sees to it."""
        self._attended.add(service)
        self._keeper.wake()

    def _hooks(self, service: Service, name: str) -> tuple[Callable[..., None], ...]:
        """What watches a service's calls by this name."""
        watchers = (*self._observers, *_strategies(service))
        return tuple(self._safe(getattr(each, name), service) for each in watchers if _hears(each, name))

    def _safe(self, hook: Callable[..., None], service: Service) -> Callable[..., None]:
        """The hook, made unable to disturb the call that it watches."""

        def watch(*facts: Any) -> None:
            try:
                hook(*facts)
            except Exception as error:
                service.failed(getattr(hook, "__qualname__", repr(hook)), error, self.clock())

        return watch

    def _emit(self, event: object) -> None:
        if isinstance(event, PluginFailed):
            self.plugin_failures += 1
        for observer in self._observers:
            if not _hears(observer, "on_event"):
                continue
            try:
                observer.on_event(event)
            except Exception:
                self.plugin_failures += 1

    def _after_fork(self) -> None:
        """In a forked child: fresh locks, nothing in flight, no thread; kept are settings, and what was discovered."""
        self._changing = threading.Lock()
        if self._board is not None:
            self._board.after_fork()
        self._attended.after_fork()
        self._keeper.after_fork()
        if self._file is not None:
            self._file.after_fork()
        self.admission = self._kept = None
        self._put(self.settings, {}, self.services)

    def __repr__(self) -> str:
        return f"<Mesh {self.settings.service or '(unnamed)'}: {', '.join(self.services) or 'no services'}>"


def _opened(
    source: Any, *, environ: Mapping[str, str] | None, clock: Callable[[], float]
) -> tuple[MeshSettings, Following | None]:
    """The settings of a source, and its file, where it is one that is to be followed. Raises SettingsError."""
    from meshware.settings.files import is_file
    from meshware.settings.load import load

    if not is_file(source):
        return load(source, environ=environ), None
    from meshware.following import Following

    file = Following(source, environ=environ, clock=clock)
    settings = file.read()
    return settings, file if settings.follow else None


def _overridden(service: Service, context: RequestContext | None, plan: Plan | None) -> Plan | None:
    """The plan under what is wanted where the call is made."""
    if context is None or context.override is None:
        return plan
    return (plan or Plan(service)).overridden(context.override)


def _state(endpoint: Endpoint, service: Service, now: float) -> dict[str, Any]:
    state: dict[str, Any] = {
        "state": endpoint.availability.state(),
        "in_flight": len(endpoint.open),
        "weight": endpoint.weight,
    }
    if any(endpoint.locality):
        state["locality"] = str(endpoint.locality)
    if endpoint.priority:
        state["priority"] = endpoint.priority
    if service.checks is not None:
        state["health"] = service.checks.status(endpoint, now)
    return state if service.source is None else state | {"age": service.source.status(now)["age"]}


def _strategies(service: Service) -> list[Any]:
    """All by which its endpoints are picked, and those of which they are composed."""
    return [part for each in service.learners for part in plugins.whole(each)]


def _hears(watcher: object, hook: str) -> bool:
    """Whether it has a hook of its own: one that the base class leaves empty would cost every call."""
    return getattr(type(watcher), hook, None) not in (None, getattr(Observer, hook))


def keys(name: str) -> list[tuple[str, str, int]]:
    """What a service's name stands for: (scheme, host, port). Without a port, each scheme's default."""
    host, _, port = name.partition(":")
    return [(scheme, host, int(port) if port else default) for scheme, default in DEFAULT_PORTS.items()]


def default_mesh() -> Mesh | None:
    """The mesh of the context in force, or the process's default one."""
    context = current()
    if context is not None and context.mesh is not None:
        mesh: Mesh = context.mesh
        return mesh
    return _default


_default: Mesh | None = None
_registry: list[Mesh] = []
_registry_lock = threading.Lock()
_log = logging.getLogger("meshware")

_alive: weakref.WeakSet[Mesh] = weakref.WeakSet()


def _at_exit() -> None:
    """A worker that ends leaves its board, whether anybody closes its meshes or not."""
    for mesh in tuple(_alive):
        if mesh._board is not None:
            mesh._board.close(mesh.clock())


atexit.register(_at_exit)


def _after_fork() -> None:
    global _registry_lock
    _registry_lock = threading.Lock()
    meshes = tuple(_alive)
    for mesh in meshes:  # first what cannot fail: one whose plugins raise would keep the others from it
        mesh.load.after_fork()
    for mesh in meshes:
        try:
            mesh._after_fork()
        except Exception:  # a plugin's, say: the other meshes of this process are none of its business
            _log.exception("meshware could not make %r anew in a forked child", mesh)


os.register_at_fork(after_in_child=_after_fork)
