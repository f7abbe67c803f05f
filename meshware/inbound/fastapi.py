"""Dependencies for FastAPI, whose middleware is `meshware.inbound.asgi`'s: the mesh, and the time that is left.

    async def health(mesh: CurrentMesh): ...
    async def report(seconds: TimeLeft): ...

Both are async, and wait for nothing: FastAPI takes a plain function to a thread.
"""

from __future__ import annotations

from typing import Annotated

from meshware import context
from meshware.core.errors import MissingExtra
from meshware.mesh import Mesh, default_mesh

try:
    from fastapi import Depends
except ModuleNotFoundError as error:
    if error.name != "fastapi":
        raise
    raise MissingExtra("fastapi", "fastapi") from error


async def mesh() -> Mesh:
    """The mesh of this request. Raises RuntimeError where no middleware has put one in force."""
    found = default_mesh()
    if found is None:
        raise RuntimeError("no mesh is in force: app.add_middleware(MeshMiddleware, settings=...) is missing")
    return found


async def remaining() -> float | None:
    """Seconds that the request's deadline leaves when it is asked for; None when there is none."""
    return context.remaining()


CurrentMesh = Annotated[Mesh, Depends(mesh)]
"""`async def view(mesh: CurrentMesh)`."""

TimeLeft = Annotated[float | None, Depends(remaining)]
"""`async def view(seconds: TimeLeft)`."""
