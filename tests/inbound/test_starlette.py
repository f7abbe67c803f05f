"""What Starlette and FastAPI apps get besides the middleware: a framework by name, answers to errors, dependencies."""

import runpy
import sys
from typing import Annotated

import pytest
import requests
from fastapi import Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient

from meshware import MeshError, plugins
from meshware.context import current
from meshware.core.errors import CircuitOpen, DeadlineExceeded, InsecureService, MissingExtra, NoEndpoint, SettingsError
from meshware.inbound import fastapi as door
from meshware.inbound.asgi import MeshMiddleware
from meshware.inbound.fastapi import CurrentMesh, TimeLeft
from meshware.inbound.starlette import unavailable
from meshware.mesh import Mesh, default_mesh

SETTINGS = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}}


def settings_for(*upstreams, **more):
    return {"services": {"inventory": {"endpoints": [each.address for each in upstreams]}}, **more}


def items(request):
    return PlainTextResponse(requests.get("http://inventory/items").json()["name"])


# The middleware in an app


def test_the_dotted_path_of_a_module_says_where_the_settings_are(tmp_path, monkeypatch, upstream):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "mesh.py").write_text(f"MESHWARE = {settings_for(upstream('one'))!r}")
    monkeypatch.syspath_prepend(tmp_path)
    app = Starlette(routes=[Route("/", items)])
    app.add_middleware(MeshMiddleware, settings="shop.mesh")
    with TestClient(app) as client:
        assert client.get("/").text == "one"
    for name in ("shop", "shop.mesh"):
        sys.modules.pop(name)


def test_a_test_client_that_is_entered_twice_finds_the_mesh_each_time():
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse(str(default_mesh() is current().mesh)))])
    app.add_middleware(MeshMiddleware, settings=SETTINGS)
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").text == "True"
        assert default_mesh() is None
    assert TestClient(app).get("/").status_code == 200  # one that is not entered sends no lifespan


def test_wrong_settings_fail_the_test_that_enters_the_client_and_else_each_request():
    app = Starlette()
    app.add_middleware(MeshMiddleware, settings={"servises": {}})
    with pytest.raises(SettingsError, match="servises"), TestClient(app):
        pass
    with pytest.raises(SettingsError, match="servises"):
        TestClient(app).get("/")


def test_an_app_mounted_in_an_app_has_its_own_mesh_and_never_more_time():
    seen = []

    async def inner(request):
        seen.append(current())
        return PlainTextResponse("inner")

    small = Starlette(routes=[Route("/", inner)])
    small.add_middleware(MeshMiddleware, settings={**SETTINGS, "service": "small", "request_timeout": 60})
    large = Starlette(routes=[Mount("/small", small)])
    large.add_middleware(MeshMiddleware, settings={**SETTINGS, "service": "large", "request_timeout": 5})
    assert TestClient(large).get("/small/").text == "inner"
    assert seen[0].mesh.settings.service == "small"
    assert seen[0].deadline.timeout == 5


def test_the_costly_kind_of_middleware_inside_sees_the_context_too():
    seen = []

    class Inside(BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            seen.append(current())
            return await call_next(request)

    async def view(request):
        seen.append(current())
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/", view)])
    app.add_middleware(Inside)
    app.add_middleware(MeshMiddleware, settings=SETTINGS)
    TestClient(app).get("/")
    assert seen[0] is seen[1] is not None


def test_a_websocket_of_the_framework_sees_one_context_to_its_end():
    seen = []

    async def talk(socket):
        await socket.accept()
        async for _ in socket.iter_text():
            seen.append(current())
            await socket.send_text("heard")

    app = Starlette(routes=[WebSocketRoute("/talk", talk)])
    app.add_middleware(MeshMiddleware, settings=SETTINGS)
    with TestClient(app) as client, client.websocket_connect("/talk") as socket:
        for _ in range(3):
            socket.send_text("hello")
            assert socket.receive_text() == "heard"
    assert len(seen) == 3
    assert len(set(map(id, seen))) == 1


# Answers to errors

ERRORS = [
    (DeadlineExceeded("inventory", 1.0, 2), 504, None),
    (CircuitOpen("inventory", 5.0, 2.2), 503, "3"),
    (NoEndpoint("inventory", {}), 503, None),
]


@pytest.mark.parametrize(("error", "status", "after"), ERRORS, ids=lambda each: type(each).__name__)
def test_errors_of_ours_have_a_ready_answer(error, status, after):
    async def failing(request):
        raise error

    app = Starlette(routes=[Route("/", failing)])
    app.add_middleware(MeshMiddleware, settings=SETTINGS)
    app.add_exception_handler(MeshError, unavailable)
    answer = TestClient(app).get("/")
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, after)


def test_a_failed_call_that_was_retried_is_marked_and_answered_by_the_handler(upstream):
    first, second = upstream(), upstream()
    app = Starlette(routes=[Route("/", items)])
    app.add_middleware(MeshMiddleware, settings=settings_for(first, second))
    app.add_exception_handler(requests.ConnectionError, lambda request, error: PlainTextResponse("", 502))
    first.close()
    second.close()
    answer = TestClient(app).get("/")
    assert answer.status_code == 502
    assert answer.headers["x-meshware-retried"] == "1"


def test_what_only_the_developer_can_mend_is_raised_again():
    async def failing(request):
        raise InsecureService("inventory")

    app = Starlette(routes=[Route("/", failing)])
    app.add_exception_handler(MeshError, unavailable)
    with pytest.raises(InsecureService):
        TestClient(app).get("/")


# Frameworks by name


@pytest.mark.parametrize(("name", "kind"), [("starlette", Starlette), ("fastapi", FastAPI)])
def test_a_framework_by_name_puts_a_mesh_under_an_app_and_finds_its_settings(name, kind):
    framework = plugins.make("meshware.frameworks", name, {})
    app = kind()
    app.state.MESHWARE = SETTINGS
    app.add_route("/", lambda request: PlainTextResponse(repr(current().mesh)))
    mesh = Mesh.from_settings(framework.load_settings(app))
    framework.middleware(app, mesh)
    assert TestClient(app).get("/").text == repr(mesh)


@pytest.mark.parametrize("settings", [None, "shop.mesh"])
def test_an_app_without_settings_says_where_they_belong(settings):
    app = Starlette()
    if settings is not None:
        app.state.MESHWARE = settings
    with pytest.raises(SettingsError, match=r"app\.state\.MESHWARE"):
        plugins.make("meshware.frameworks", "starlette", {}).load_settings(app)


# Dependencies


def test_an_endpoint_asks_for_the_mesh_and_for_the_time_that_is_left():
    app = FastAPI()
    app.add_middleware(MeshMiddleware, settings=SETTINGS)

    @app.get("/")
    def view(
        mesh: CurrentMesh, left: TimeLeft, same: Annotated[Mesh, Depends(door.mesh)]
    ) -> tuple[list[str], bool, float | None]:
        return list(mesh.services), mesh is same, left

    client = TestClient(app)
    assert client.get("/").json() == [["inventory"], True, None]
    assert 0 < client.get("/", headers={"x-meshware-timeout": "1.5"}).json()[2] <= 1.5
    assert client.get("/openapi.json").json()["paths"]["/"]["get"].get("parameters") is None


def test_a_test_may_put_a_mesh_of_its_own_in_the_place_of_the_apps():
    app, mine = FastAPI(), Mesh.from_settings({**SETTINGS, "service": "mine"})
    app.dependency_overrides[door.mesh] = lambda: mine

    @app.get("/")
    async def view(mesh: CurrentMesh) -> str:
        return mesh.settings.service

    assert TestClient(app).get("/").json() == "mine"


def test_without_the_middleware_it_says_what_is_missing():
    app = FastAPI()

    @app.get("/")
    async def view(mesh: CurrentMesh) -> str:
        return "never"

    with pytest.raises(RuntimeError, match=r"add_middleware\(MeshMiddleware"):
        TestClient(app).get("/")


@pytest.mark.parametrize(("missing", "error"), [("fastapi", MissingExtra), ("its_own", ModuleNotFoundError)])
def test_without_fastapi_it_says_what_to_install(monkeypatch, missing, error):
    class Finder:
        """As if that were not installed."""

        def find_spec(self, name, path=None, target=None):
            if name == "fastapi":
                raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    for name in [each for each in sys.modules if each.partition(".")[0] == "fastapi"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    with pytest.raises(ImportError) as caught:
        runpy.run_path(door.__file__)
    assert type(caught.value) is error
