"""The Flask extension: `Meshware(app)`, or `init_app` in an app factory.

Settings stand in `app.config["MESHWARE"]`, one dict; the mesh is `app.extensions["meshware"]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshware.inbound.door import open_mesh
from meshware.inbound.wsgi import MeshMiddleware
from meshware.settings.sources import from_flask

if TYPE_CHECKING:
    from flask import Flask

    from meshware.mesh import Mesh


class Meshware:
    """`Meshware(app)`; or `mesh = Meshware()` and `mesh.init_app(app)`, for any number of apps.

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
        if "meshware" in app.extensions:
            raise ValueError(f"the app {app.name!r} has meshware already: call init_app or Meshware(app) once")
        settings = from_flask(app.config) if self._settings is None else self._settings
        mesh = open_mesh(settings, instrument=self._instrument)
        FlaskFramework().middleware(app, mesh)


class FlaskFramework:
    """Flask under the entry-point group `meshware.frameworks`, for tools that know no framework."""

    def middleware(self, app: Flask, mesh: Mesh) -> None:
        """Wrap the app's WSGI callable."""
        wsgi: Any = MeshMiddleware(app.wsgi_app, mesh=mesh)
        app.wsgi_app = wsgi  # type: ignore[method-assign]
        app.extensions["meshware"] = mesh

    def load_settings(self, app: Flask) -> Mapping[str, Any]:
        """`app.config["MESHWARE"]`."""
        return from_flask(app.config)
