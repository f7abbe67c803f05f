"""What it costs a call that its service has routes: none, 10, 1,000, of all kinds.

    python benchmarks/route_cost.py [--quick] [--json FILE]

What is asked for goes round: one request for each kind of route, and one that no route is for. The budget: 1,000 routes
within 3 times the cost of 10.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from comparing import Run, asked, interleaved, ratio, show, timed

from meshware.core.request import Request
from meshware.mesh import Mesh

KINDS: tuple[Callable[[int], dict[str, Any]], ...] = (
    lambda number: {"path": f"/exact/{number}"},
    lambda number: {"path": {"separated_prefix": f"/area/{number}"}},
    lambda number: {"path": {"prefix": f"/area{number}/x"}},
    lambda number: {"path": {"template": f"/shop{number}/{{id}}"}},
    lambda number: {"path": {"regex": f"/regex{number}/[0-9]+"}},
    lambda number: {"headers": {"x-tenant": f"t{number}"}, "methods": ["GET"]},
)


def asks(number: int) -> tuple[str, dict[str, str]]:
    """A path, and headers, for which route number so and so is."""
    paths = (f"/exact/{number}", f"/area/{number}/a", f"/area{number}/xy", f"/shop{number}/7", f"/regex{number}/7", "/")
    kind = number % len(KINDS)
    return paths[kind], {"x-tenant": f"t{number}"} if kind == 5 else {}


def mesh_of(routes: int) -> Mesh:
    """A mesh with so many routes for one service."""
    made = [
        {"match": {"service": "inventory", **KINDS[number % len(KINDS)](number)}, "timeout": 1.0}
        for number in range(routes)
    ]
    return Mesh.from_settings({"services": {"inventory": {"endpoints": ["10.0.0.1:80"]}}, "routes": made})


def match(mesh: Mesh, routes: int) -> Run:
    """One decision, for each kind of request in turn."""
    service = mesh.services["inventory"]
    last = range(max(0, routes - len(KINDS)), max(len(KINDS), routes))
    requests = [Request("GET", "inventory", path, headers) for path, headers in map(asks, last)]
    requests.append(Request("GET", "inventory", "/none", {}))
    turn = iter(range(10**12))

    def decide() -> None:
        request = requests[next(turn) % len(requests)]
        if service.routes is not None:
            service.routes.route(service, request, None, 0.0)

    return timed(decide)


def main(arguments: list[str] | None = None) -> None:
    """Measure, and show."""
    options = asked(__doc__, arguments)
    meshes = {f"{count} routes": (mesh_of(count), count) for count in (0, 10, 100, 1_000)}
    runs = {name: match(mesh, count) for name, (mesh, count) in meshes.items()}
    rounds, count = (5, 200) if options.quick else (60, 1_000)
    seconds = interleaved(runs, rounds=rounds, count=count)
    found = [ratio(seconds, name, over="10 routes") for name in runs]
    for mesh, _ in meshes.values():
        mesh.close()
    show(found, title="what routes cost a call (budget: 1,000 within 3 x 10)", file=options.json)


if __name__ == "__main__":
    main()
