"""The Flask extension: `Meshware(app)`, or `init_app` in an app factory.

Settings stand in `app.config["MESHWARE"]`, one dict; the mesh is `app.extensions["meshware"]`. Errors that
a view lets through are left to the app: Flask picks a handler by the exception's bases, and ours are also
the client's (`requests.ConnectionError`), so one registered from here would take them from the app's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshware.core.errors import MeshError, MissingExtra
from meshware.inbound.door import open_mesh, refusal
from meshware.inbound.wsgi import MeshMiddleware
from meshware.settings.sources import from_flask

try:
    from flask import Flask
except ModuleNotFoundError as error:
    if error.name != "flask":
        raise
    raise MissingExtra("flask", "flask") from error

if TYPE_CHECKING:
    from meshware.mesh import Mesh


class Meshware:
    """`Meshware(app)`; or `meshware = Meshware()` and `meshware.init_app(app)`, for any number of apps.

    `settings` stands for `app.config["MESHWARE"]`. `instrument=False` leaves the clients alone: then mount
    `MeshAdapter` yourself. Each app's requests use that app's mesh.
    """

    def __init__(self, app: Flask | None = None, *, settings: Any = None, instrument: bool = True) -> None:
        self._settings = settings
        self._instrument = instrument
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Put the mesh under the app. Raises SettingsError with every problem, ValueError the second time."""
        if not isinstance(app, Flask):
            raise TypeError(f"{app!r} is no Flask app; for any other WSGI app there is meshware.inbound.wsgi")
        if "meshware" in app.extensions:
            raise ValueError(f"the app {app.name!r} has meshware already: call init_app or Meshware(app) once")
        mesh = open_mesh(from_flask(app.config) if self._settings is None else self._settings)
        _wrap(app, mesh, instrument=self._instrument)


class FlaskFramework:
    """Flask under the entry-point group `meshware.frameworks`, for tools that know no framework."""

    def middleware(self, app: Flask, mesh: Mesh) -> None:
        """Put this mesh under the app."""
        _wrap(app, mesh, instrument=True)

    def load_settings(self, app: Flask) -> Mapping[str, Any]:
        """`app.config["MESHWARE"]`."""
        return from_flask(app.config)


def unavailable(error: MeshError) -> tuple[str, int, dict[str, str]]:
    """A ready answer to errors of ours, for who wants it: `app.register_error_handler(MeshError, unavailable)`.

    504 when the deadline has passed; 503 when nothing could take the call, with Retry-After where known. What
    only the developer can mend is raised again, for Flask to log and answer 500.
    """
    return refusal(error)


def _wrap(app: Flask, mesh: Mesh, *, instrument: bool) -> None:
    wsgi: Any = MeshMiddleware(app.wsgi_app, mesh=mesh, instrument=instrument)
    app.wsgi_app = wsgi  # type: ignore[method-assign]
    app.extensions["meshware"] = mesh
