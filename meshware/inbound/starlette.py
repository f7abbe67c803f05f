"""What Starlette and FastAPI apps may want besides the middleware, which is `meshware.inbound.asgi`'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse

from meshware.core.errors import Problem, SettingsError
from meshware.inbound.asgi import MeshMiddleware
from meshware.inbound.door import refusal

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from meshware.mesh import Mesh


async def unavailable(request: Request, error: Exception) -> Response:
    """A ready answer to errors of ours, for who wants it: `app.add_exception_handler(MeshError, unavailable)`.

    504 when the deadline has passed; 503 when nothing could take the call, with Retry-After where known. What
    only the developer can mend is raised again, for Starlette to log and answer 500.
    """
    text, status, headers = refusal(error)
    return PlainTextResponse(text, status, headers)


class StarletteFramework:
    """Starlette, and FastAPI with it, under the entry-point group `meshware.frameworks`."""

    def middleware(self, app: Starlette, mesh: Mesh) -> None:
        """Put this mesh under the app, which must not have served yet."""
        app.add_middleware(MeshMiddleware, mesh=mesh)

    def load_settings(self, app: Starlette) -> Mapping[str, Any]:
        """`app.state.MESHWARE`, one dict. Raises SettingsError when it is missing."""
        settings = getattr(app.state, "MESHWARE", None)
        if not isinstance(settings, Mapping):
            raise SettingsError([Problem("MESHWARE", settings, "a dict under app.state.MESHWARE")])
        return settings
