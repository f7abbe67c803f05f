"""check_framework passes what is fit for use, and says what is wrong with what is not."""

from __future__ import annotations

import asyncio

import pytest

from meshware import SettingsError
from meshware.context import RequestContext, enter
from meshware.core.deadline import Deadline
from meshware.core.errors import Problem
from meshware.inbound.flask import FlaskFramework
from meshware.outbound.instrument import uninstrument
from meshware.settings.load import load
from meshware.testing import check_framework
from meshware.testing.frameworks import Broken

flask = pytest.importorskip("flask")


@pytest.fixture(autouse=True)
def _clients_as_they_were():
    yield
    uninstrument()
    enter(None)


def flask_app(view, settings):
    app = flask.Flask("checked")
    if settings is not None:
        app.config["MESHWARE"] = settings
    app.add_url_rule("/", view_func=lambda: view())
    return app


def flask_get(app):
    return app.test_client().get("/").status_code


def test_flask_is_fit_for_use():
    check_framework(FlaskFramework, app=flask_app, get=flask_get)


def test_starlette_is_fit_for_use():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from meshware.inbound.starlette import StarletteFramework

    def starlette_app(view, settings):
        async def home(request):
            return PlainTextResponse(view())

        app = Starlette(routes=[Route("/", home)])
        if settings is not None:
            app.state.MESHWARE = settings
        return app

    check_framework(StarletteFramework, app=starlette_app, get=lambda app: asyncio.run(asgi_get(app)))


async def asgi_get(app):
    """The status of GET /, without a server."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "", "headers": [(b"host", b"shop")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    await app(scope, receive, send)
    return sent[0]["status"]


class App:
    """The smallest framework."""

    def __init__(self, view, settings):
        self.view, self.settings = view, settings
        self.around = lambda view: view()

    def get(self):
        self.around(self.view)
        return 200


class Door:
    def load_settings(self, app):
        if app.settings is None:
            raise SettingsError([Problem("MESHWARE", None, "a dict")])
        return app.settings

    def middleware(self, app, mesh):
        def around(view):
            enter(self.context(mesh))
            try:
                return view()
            finally:
                self.leave()

        app.around = around

    def context(self, mesh):
        return RequestContext(Deadline(1e9, 30.0, chosen=True), mesh=mesh)

    def leave(self):
        enter(None)


def test_the_smallest_framework_is_fit_for_use():
    check_framework(Door, app=App, get=App.get)


class NoSettings(Door):
    def load_settings(self, app):
        return None


class OtherSettings(Door):
    def load_settings(self, app):
        return {}


class Empty(Door):
    def load_settings(self, app):
        return app.settings or {}


class Stumbling(Door):
    def load_settings(self, app):
        return dict(app.settings)


class NoContext(Door):
    def middleware(self, app, mesh):
        pass


class OtherMesh(Door):
    def context(self, mesh):
        return super().context(None)


class Shared(Door):
    one = None

    def context(self, mesh):
        self.one = self.one or super().context(mesh)
        return self.one


class NoDeadline(Door):
    def context(self, mesh):
        return RequestContext(mesh=mesh)


class Leaking(Door):
    def leave(self):
        pass


class Swallowing(Door):
    def middleware(self, app, mesh):
        super().middleware(app, mesh)
        inner = app.around

        def around(view):
            try:
                return inner(view)
            except Broken:
                return "ok"

        app.around = around


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (NoSettings, "load_settings gives None"),
        (OtherSettings, "does not give the settings"),
        (Empty, "SettingsError is needed"),
        (Stumbling, "TypeError.*not SettingsError"),
        (NoContext, "outside of any context"),
        (OtherMesh, "of another mesh"),
        (Shared, "share one context"),
        (NoDeadline, "no deadline"),
        (Leaking, "still in force"),
        (Swallowing, "is answered 200"),
    ],
)
def test_what_is_wrong_is_said(kind, said):
    with pytest.raises(AssertionError, match=said):
        check_framework(kind, app=App, get=App.get)


def test_an_app_that_fails_is_no_pass():
    with pytest.raises(AssertionError, match="does not answer 200"):
        check_framework(Door, app=App, get=lambda app: 404)


def test_the_checks_settings_are_right():
    from meshware.testing.frameworks import SETTINGS

    assert load(SETTINGS).request_timeout == 30.0
