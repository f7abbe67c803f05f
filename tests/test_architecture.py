"""The house, held to its plan by reading the source: who may know whom, and what the core may touch.

The plan is docs/architecture.md. A breach here means that a file is in the wrong room, or that the plan
is wrong: then change the plan first, in docs/decisions/.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.untraced

PACKAGE = Path(__file__).resolve().parents[1] / "meshware"

POLICY = {
    "balancing", "breaking", "retrying", "limiting", "fallback",
    "routing", "discovery", "health", "security", "sharing",
}  # fmt: skip
MESH = {
    "core", "context", "files", "following", "plugins", "settings", "hands", "housekeeper",
    "assembly", "explain", "mesh", "shifting",
}  # fmt: skip
DOORS = MESH | POLICY | {"outbound", "telemetry"}

KNOWS: dict[str, set[str]] = {
    "core": set(),
    "context": {"core"},
    "files": {"core"},
    **{room: {"core"} for room in POLICY},
    "discovery": {"core", "files"},
    "plugins": {"core"},
    "settings": {"core", "files", "plugins"},
    "following": {"core", "files", "settings"},
    "importing": {"core", "files", "settings"},
    "hands": {"core"},
    "shifting": {"core", "routing", "sharing"},
    "housekeeper": {"core", "hands"},
    "assembly": {"core", "plugins", "settings", "shifting", *POLICY},
    "explain": {"core", "routing"},
    "mesh": MESH | {"health", "limiting", "routing", "sharing"},
    "outbound": {"core", "context", "plugins", "mesh", "breaking", "fallback", "security"},
    "telemetry": {"core", "context", "mesh"},
    "testing": MESH | POLICY,
    "inbound": DOORS,
    "console": DOORS,
    "cli": DOORS | {"inbound", "console", "importing", "testing"},
}
"""Room -> the rooms it may import, besides itself. `import meshware` (the front door) loads none."""

FRAMEWORKS = {"starlette", "werkzeug", "django", "asgiref", "flask", "fastapi"}
CLIENTS = {"requests", "urllib3", "httpx", "httpx2", "aiohttp"}
OTHERS: dict[str, set[str]] = {
    "breaking": {"pybreaker"},
    "discovery": {"cachetools"},
    "security": {"cachetools"},
    "fallback": {"cachetools"},
    "balancing": {"cachetools", "xxhash"},
    "files": {"yaml"},
    "settings": {"pydantic", "pydantic_core", "re2"},
    "inbound": FRAMEWORKS,
    "console": FRAMEWORKS,
    "outbound": CLIENTS | {"h11"},
    "testing": {"pytest", "pydantic", "pydantic_core", "matplotlib"},
    "cli": {"click", "rich"},
    "cli.demo": {"click", "rich", "gunicorn", "uvicorn", "tenacity", "pybreaker"} | FRAMEWORKS | CLIENTS,
}
"""Room -> the third-party modules it may import."""

DECIDES = {"core", "balancing", "breaking", "retrying", "limiting", "fallback", "routing"}
"""Rooms that decide: `now`, chance and the world come in as arguments."""

WORLD = {
    "asyncio", "concurrent", "datetime", "http", "logging", "multiprocessing", "os", "queue", "random",
    "sched", "secrets", "select", "selectors", "signal", "socket", "ssl", "subprocess", "time",
}  # fmt: skip
LOCKS = {"Lock", "RLock"}

SLEEPERS = {"outbound.delays", "outbound.drive", "outbound.reaper", "housekeeper", "sharing.rows"}


class Module(NamedTuple):
    """A source file: its name below `meshware`, and its tree."""

    name: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first part of its name; the demo's programs are a room of their own."""
        return "cli.demo" if self.name.startswith("cli.demo") else self.name.partition(".")[0]

    @property
    def place(self) -> str:
        """The room as the arrows know it."""
        return self.room.partition(".")[0]


class Import(NamedTuple):
    """One imported name, in full, and whether it is there for annotations only."""

    name: str
    line: int
    typing_only: bool

    @property
    def root(self) -> str:
        """The top-level module."""
        return self.name.partition(".")[0]

    @property
    def room(self) -> str:
        """What comes after it: in `meshware`, the room."""
        return self.name.partition(".")[2].partition(".")[0]


def parsed(name: str, source: str) -> Module:
    """A module from its text, so that the rules themselves can be tested."""
    return Module(name, ast.parse(source))


def house() -> list[Module]:
    """Every module of the package but the front door."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        if name:
            found.append(parsed(name, path.read_text()))
    return found


def imports(module: Module) -> Iterator[Import]:
    """Every import, at whatever depth; `from meshware import x` counts as `meshware.x`."""
    typing_only = {
        id(inner)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module.name}:{node.lineno}: imports are written in full"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            yield Import(name, node.lineno, id(node) in typing_only)


def wrong_arrows(module: Module) -> list[str]:
    """Imports of rooms that this module's room must not know. Annotations count: they are knowledge too."""
    allowed = KNOWS.get(module.place, set()) | {module.place}
    if module.place not in KNOWS:
        return [f"{module.name}: a room that the plan does not have"]
    return [
        f"{module.name}:{found.line} imports {found.name}"
        for found in imports(module)
        if found.root == "meshware" and found.room not in allowed
    ]


def wrong_strangers(module: Module) -> list[str]:
    """Third-party modules where they have no business."""
    allowed = OTHERS.get(module.room, set())
    return [
        f"{module.name}:{found.line} imports {found.name}"
        for found in imports(module)
        if found.root not in sys.stdlib_module_names and found.root not in allowed | {"meshware"}
    ]


def touches_the_world(module: Module) -> list[str]:
    """Clocks, chance, sockets, logs, files and `global` in a room that decides."""
    if module.room not in DECIDES:
        return []
    breaches = [
        f"{module.name}:{found.line} imports {found.name}"
        for found in imports(module)
        if (found.root in WORLD and not (found.typing_only and found.root == "random"))
        or (found.root == "threading" and found.name.removeprefix("threading.") not in LOCKS)
    ]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Global):
            breaches.append(f"{module.name}:{node.lineno} has a global")
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"open", "print", "input", "exec", "eval"}:
            breaches.append(f"{module.name}:{node.lineno} calls {ast.unparse(node.func)}")
    return breaches


def sleeps(module: Module) -> list[str]:
    """Calls of anything named `sleep` outside the drivers, the reaper and the housekeeper (and the demo's servers)."""
    if module.name in SLEEPERS or module.room == "cli.demo":
        return []
    return [
        f"{module.name}:{node.lineno} sleeps"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "sleep"
    ]


RULES = [wrong_arrows, wrong_strangers, touches_the_world, sleeps]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_is_built_as_planned(rule):
    assert [breach for module in house() for breach in rule(module)] == []


@pytest.mark.parametrize(
    ("rule", "name", "source"),
    [
        (wrong_arrows, "core.call", "from meshware.breaking.gate import Gate"),
        (wrong_arrows, "core.call", "if TYPE_CHECKING:\n    from meshware.mesh import Mesh"),
        (wrong_arrows, "balancing.random", "def pick():\n    from meshware import retrying"),
        (wrong_arrows, "mesh", "import meshware.outbound.requests"),
        (wrong_arrows, "utils", ""),
        (wrong_strangers, "core.errors", "import pybreaker"),
        (wrong_strangers, "outbound.drive", "import flask"),
        (wrong_strangers, "cli.main", "from requests import get"),
        (touches_the_world, "core.call", "import time"),
        (touches_the_world, "core.call", "from random import random"),
        (touches_the_world, "retrying.budget", "from threading import Thread"),
        (touches_the_world, "core.call", "import threading"),
        (touches_the_world, "core.call", "def f():\n    global seen"),
        (touches_the_world, "core.call", "print(1)"),
        (sleeps, "outbound.requests", "import time\ntime.sleep(1)"),
    ],
)
def test_each_rule_sees_its_breach(rule, name, source):
    assert rule(parsed(name, source)) != []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core.call", "if TYPE_CHECKING:\n    from random import Random"),
        ("core.service", "from threading import Lock, RLock"),
        ("cli.demo.pricing", "import time, flask\ntime.sleep(1)"),
        ("outbound.drive", "import time\ntime.sleep(1)"),
        ("mesh", "from meshware import plugins"),
    ],
)
def test_the_rules_leave_alone_what_is_allowed(name, source):
    assert [rule(parsed(name, source)) for rule in RULES] == [[]] * len(RULES)


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a statement loads in a fresh interpreter, beyond the standard library's."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    return {name.partition(".")[0] for name in ran.stdout.split()} - sys.stdlib_module_names


@pytest.mark.parametrize(
    "statement",
    [
        "import meshware",
        "import meshware; dir(meshware); meshware.MeshError, meshware.Mesh, meshware.request_context",
        "import meshware.core.call, meshware.core.service, meshware.outbound.drive, meshware.housekeeper",
    ],
)
def test_importing_meshware_loads_nothing_third_party(statement):
    assert loaded_by(statement) == {"meshware"}


SERVICES = {"shop": {"endpoints": ["127.0.0.1:9"]}, "new": {"endpoints": ["127.0.0.1:9"]}}

NAMED: dict[str, tuple[set[str], dict[str, Any]]] = {
    "routes": (
        {"routing.match", "core.subset", "settings.sections.routing", "settings.patterns", "settings.shadowing"},
        {"routes": [{"match": {"service": "shop", "path": {"regex": "/a+"}}, "timeout": 1.0}]},
    ),
    "shifts": (
        {"routing.shift", "shifting", "settings.sections.shifting"},
        {"shifts": [{"name": "over", "service": "shop", "to": "new"}]},
    ),
    "faults": (
        {"routing.faults", "settings.sections.faults"},
        {"defaults": {"faults": [{"delay": 1.0}]}},
    ),
    "fallback": (
        {"fallback.last_good", "settings.sections.fallback"},
        {"defaults": {"fallback": {"last_good": True}}},
    ),
    "health checks": (
        {"health.checks", "health.asking", "security.tls", "settings.sections.health"},
        {"defaults": {"health_check": "tcp"}},
    ),
    "discovery": (
        {"discovery.sources", "discovery.arrival", "discovery.file", "files.document", "files.watched"},
        {"services": SERVICES | {"found": {"discovery": {"file": {"path": "endpoints.yaml"}}}}},
    ),
    "classifiers": ({"breaking.classifiers", "breaking.contents"}, {"defaults": {"classify": "graphql"}}),
    "explanations": ({"explain.kept"}, {"explain": {"keep": 10}}),
    "the board": ({"sharing.board"}, {"service": "storefront"}),
    "probes": (
        {"health.prober", "balancing.probing"},
        {"defaults": {"strategy": {"adaptive": {"probe_ahead": True}}}},
    ),
    "another strategy": ({"balancing.round_robin"}, {"defaults": {"strategy": "round_robin"}}),
}
"""What settings may name: rooms that are there for it and for nothing else, and settings that name it."""


def rooms_of(settings: dict[str, Any]) -> list[set[str]]:
    """Our modules in a worker with a door in, a client and these settings: before its first call, and after it."""
    pytest.importorskip("httpx2")
    program = f"""
        import asyncio, sys
        from contextlib import suppress
        from meshware.inbound.asgi import MeshMiddleware
        from meshware.mesh import default_mesh
        from meshware.outbound.httpx2 import AsyncMeshTransport
        import httpx2

        async def app(scope, receive, send):
            async with httpx2.AsyncClient(transport=AsyncMeshTransport()) as client:
                with suppress(httpx2.ConnectError):
                    await client.get("http://shop/")
            assert default_mesh().services["shop"].used

        async def once():
            await meshed({{"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}}, None, None)

        meshed = MeshMiddleware(app, settings={settings!r}, instrument=False)
        for _ in range(2):
            print(*(name.removeprefix("meshware.") for name in sys.modules if name.startswith("meshware.")))
            asyncio.run(once())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [set(line.split()) for line in ran.stdout.splitlines()]


def test_a_worker_has_no_room_that_its_settings_do_not_name():
    _, there = rooms_of({"services": SERVICES})
    assert [name for rooms, _ in NAMED.values() for name in rooms if name in there] == []
    assert [name for name in there if name.partition(".")[0] in {"importing", "following", "cli", "testing"}] == []


@pytest.mark.parametrize(("rooms", "settings"), NAMED.values(), ids=NAMED)
def test_a_room_that_is_named_is_there_before_the_first_call(rooms, settings):
    before, after = rooms_of({"services": SERVICES} | settings)
    assert rooms - before == set()
    assert after == before


def test_the_front_door_has_the_names_it_promises():
    import meshware

    assert set(meshware.__all__) <= set(dir(meshware))
    assert all(getattr(meshware, name) is not None for name in meshware.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        meshware.nothing  # noqa: B018
