"""What every framework's door must keep to: a context for each request, of its mesh, over when the request is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshware.context import current
from meshware.core.errors import SettingsError
from meshware.mesh import Mesh
from meshware.settings.load import load

SETTINGS = {"service": "checked", "request_timeout": 30.0, "services": {"other": {"endpoints": ["192.0.2.1:80"]}}}


class Broken(Exception):
    """What the check's view raises."""


def check_framework(
    make: Callable[[], Any],
    *,
    app: Callable[[Callable[[], str], Mapping[str, Any] | None], Any],
    get: Callable[[Any], int],
) -> None:
    """Raise AssertionError unless what `make()` gives is fit for use as a framework.

    `app(view, settings)` makes an app that answers GET / with what `view()` gives, and has these settings where the
    framework's apps have theirs (none at all for None); `get(app)` sends it a GET / and gives the status, or raises
    what the view raised. The view must run in a context of the given mesh, each request in one of its own, with the
    settings' deadline, and no context may be left afterwards, also when the view raises.
    """
    framework = make()
    settings = framework.load_settings(app(str, SETTINGS))
    assert isinstance(settings, Mapping), f"load_settings gives {settings!r}: the settings as they were written"
    assert load(settings) == load(SETTINGS), "load_settings does not give the settings that the app has"
    _check_missing(framework, app(str, None))
    mesh = Mesh(load(SETTINGS))
    try:
        _check_requests(framework, app, get, mesh)
    finally:
        mesh.close()


def _check_missing(framework: Any, bare: Any) -> None:
    try:
        found = framework.load_settings(bare)
    except SettingsError:
        return
    except Exception as error:
        raise AssertionError(f"load_settings of an app without any: {error!r}, not SettingsError") from error
    raise AssertionError(f"load_settings gives {found!r} for an app without settings: SettingsError is needed")


def _check_requests(framework: Any, app: Any, get: Callable[[Any], int], mesh: Mesh) -> None:
    seen: list[Any] = []

    def view() -> str:
        seen.append(current())
        if len(seen) == 3:
            raise Broken
        return "ok"

    served = app(view, SETTINGS)
    framework.middleware(served, mesh)
    assert [get(served), get(served)] == [200, 200], "the app does not answer 200 under the middleware"
    _left_nothing()
    try:
        status = get(served)
    except Broken:
        status = 500
    assert status == 500, f"a view that raises is answered {status}"
    _left_nothing()
    assert None not in seen, "the view runs outside of any context"
    assert all(each.mesh is mesh for each in seen), "the view's context is of another mesh"
    assert len({id(each) for each in seen}) == len(seen), "two requests share one context"
    deadline = seen[0].deadline
    assert deadline is not None, "the view's context has no deadline, though the settings have one"


def _left_nothing() -> None:
    assert current() is None, "a context is still in force after the request"
