"""The Flask extension, on real calls: what a Flask user may expect to stay as it was, and what is new."""

from __future__ import annotations

import runpy
import sys

import flask
import pytest
import requests

from meshware import plugins, request_context
from meshware.context import Phase, current
from meshware.core.errors import (
    CircuitOpen,
    DeadlineExceeded,
    InsecureService,
    MeshError,
    MissingExtra,
    NoEndpoint,
    Overloaded,
    SettingsError,
)
from meshware.inbound import flask as door
from meshware.inbound.flask import Meshware, unavailable
from meshware.mesh import default_mesh
from meshware.outbound.requests import MeshAdapter


def settings_for(*upstreams, **more):
    return {"services": {"inventory": {"endpoints": [each.address for each in upstreams]}}, **more}


def meshed(*upstreams, name="shop", **more):
    """An app whose `/` calls inventory by its logical name."""
    app = flask.Flask(name)
    app.config["MESHWARE"] = settings_for(*upstreams, **more)
    Meshware(app)

    @app.get("/")
    def index():
        return requests.get("http://inventory/items").json()

    return app


# A view's calls


def test_a_view_calls_a_service_by_its_name(upstream):
    answer = meshed(upstream("one")).test_client().get("/")
    assert answer.json == {"name": "one", "path": "/items"}
    assert current() is None


def test_the_request_time_left_goes_out_with_each_call(upstream):
    one = upstream()
    client = meshed(one, request_timeout=5.0).test_client()
    client.get("/")
    client.get("/", headers={"X-Meshware-Timeout": "2.5"})
    sent = [float(headers["x-meshware-timeout"]) for _, headers in one.seen]
    assert 2.5 < sent[0] <= 5.0
    assert 0 < sent[1] <= 2.5


def test_a_call_ends_with_the_request_it_is_made_for(upstream):
    slow = upstream()
    slow.delay = 5.0
    app = meshed(slow, request_timeout=0.2)
    app.testing = True
    with pytest.raises(DeadlineExceeded, match="inventory"):
        app.test_client().get("/")


def test_a_request_that_comes_too_late_does_not_reach_the_view(upstream):
    one = upstream()
    answer = meshed(one).test_client().get("/", headers={"X-Meshware-Timeout": "0"})
    assert answer.status_code == 504
    assert one.seen == []


def test_a_dead_endpoint_is_not_noticed_by_the_view(upstream):
    alive, dead = upstream("alive"), upstream("dead")
    client = meshed(alive, dead).test_client()
    dead.die()
    assert [client.get("/").json["name"] for _ in range(10)] == ["alive"] * 10


def test_a_failure_after_a_retry_is_marked_for_the_tier_above(upstream):
    first, second = upstream(), upstream()
    first.status = second.status = 503
    app = meshed(first, second)

    @app.get("/passing-on")
    def passing_on():
        return "", requests.get("http://inventory/").status_code

    answer = app.test_client().get("/passing-on")
    assert answer.status_code == 503
    assert answer.headers["x-meshware-retried"] == "1"
    assert len(first.seen) == len(second.seen) == 1


# Bodies and teardown


@pytest.mark.parametrize("with_flask_context", [False, True], ids=["plain", "stream_with_context"])
def test_a_streamed_answer_makes_its_calls_in_the_context(upstream, with_flask_context):
    one = upstream("one")
    app = meshed(one, request_timeout=5.0)
    seen = []

    @app.get("/stream")
    def stream():
        def chunks():
            for number in range(3):
                seen.append(current())
                yield requests.get(f"http://inventory/{number}").json()["path"]

        return flask.Response(flask.stream_with_context(chunks()) if with_flask_context else chunks())

    answer = app.test_client().get("/stream")
    assert answer.text == "/0/1/2"
    assert len(set(seen)) == 1
    assert seen[0].mesh is app.extensions["meshware"]
    assert all("x-meshware-timeout" in headers for _, headers in one.seen)


def test_a_streamed_answer_that_the_client_leaves_early_ends_cleanly(upstream):
    app = meshed(upstream())
    ended = []

    @app.get("/stream")
    def stream():
        @flask.stream_with_context
        def chunks():
            context = current()
            try:
                while True:
                    yield flask.request.path
            finally:
                ended.append((context.phase, current() is context))

        return flask.Response(chunks())

    answer = app.test_client().get("/stream", buffered=False)
    assert next(answer.iter_encoded()) == b"/stream"
    assert current() is None
    answer.close()
    assert ended == [(Phase.RESPONDED, True)]


def test_teardown_functions_run_in_the_context_and_work_after_the_answer_has_no_deadline(upstream):
    app = meshed(upstream(), request_timeout=5.0)
    told = {}

    def deadline():
        return current().deadline_for(0.0) is not None

    @app.teardown_request
    def torn_down(error):
        told["teardown_request"] = deadline()

    @app.teardown_appcontext
    def app_torn_down(error):
        told["teardown_appcontext"] = deadline()

    @app.get("/close")
    def close():
        answer = flask.Response("x")
        answer.call_on_close(lambda: told.update(call_on_close=deadline()))
        return answer

    app.test_client().get("/close").close()
    assert told == {"teardown_request": True, "teardown_appcontext": True, "call_on_close": False}


def test_files_are_still_sent_by_the_servers_own_wrapper(upstream, tmp_path):
    app = meshed(upstream())
    (tmp_path / "a.txt").write_text("a file")

    @app.get("/file")
    def file():
        return flask.send_file(tmp_path / "a.txt")

    answer = app.test_client().get("/file")
    assert answer.text == "a file"
    answer.close()


# Errors


def test_the_apps_own_handler_for_the_clients_errors_gets_ours_too(upstream):
    slow = upstream()
    slow.delay = 5.0
    app = meshed(slow, request_timeout=0.2)

    @app.errorhandler(requests.Timeout)
    def timed_out(error):
        return "mine", 418

    assert app.test_client().get("/").status_code == 418


def test_an_error_that_nobody_handles_is_flasks_to_answer(upstream):
    app = meshed(upstream())

    @app.get("/fails")
    def fails():
        raise NoEndpoint("inventory", {})

    assert app.test_client().get("/fails").status_code == 500
    app.testing = True
    with pytest.raises(NoEndpoint):
        app.test_client().get("/fails")


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (DeadlineExceeded("inventory", 1.0, 2), 504, None),
        (CircuitOpen("inventory", 1002.5, 2.5), 503, "3"),
        (CircuitOpen("inventory", 1000.0, 0.0), 503, "1"),
        (NoEndpoint("inventory", {}), 503, None),
        (Overloaded("inventory", "full"), 503, None),
        (InsecureService("inventory"), 500, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_ready_handler_says_whose_fault_it_is(upstream, error, status, retry_after):
    app = meshed(upstream())
    app.register_error_handler(MeshError, unavailable)

    @app.get("/fails")
    def fails():
        raise error

    answer = app.test_client().get("/fails")
    assert answer.status_code == status
    assert answer.headers.get("Retry-After") == retry_after


# Apps and factories


def test_an_app_factory_may_be_called_any_number_of_times(upstream):
    one = upstream("one")
    meshware = Meshware()

    def create_app():
        app = flask.Flask("shop")
        app.config["MESHWARE"] = settings_for(one)
        meshware.init_app(app)
        app.add_url_rule("/", view_func=lambda: requests.get("http://inventory/").json())
        return app

    first, second = create_app(), create_app()
    assert first.extensions["meshware"] is second.extensions["meshware"] is default_mesh()
    assert second.test_client().get("/").json["name"] == "one"


def test_two_apps_in_one_process_meet_each_their_own_service_of_the_same_name(upstream):
    left, right = (meshed(upstream(name), name=name) for name in ("left", "right"))
    for _ in range(3):
        assert left.test_client().get("/").json["name"] == "left"
        assert right.test_client().get("/").json["name"] == "right"
    assert default_mesh() is left.extensions["meshware"]


def test_an_app_that_calls_another_in_process_comes_back_to_its_own_mesh(upstream):
    outer, inner = (meshed(upstream(name), name=name) for name in ("outer", "inner"))

    @outer.get("/nested")
    def nested():
        below = inner.test_client().get("/").json["name"]
        return {"names": [below, requests.get("http://inventory/").json()["name"]]}

    assert outer.test_client().get("/nested").json == {"names": ["inner", "outer"]}


def test_calls_outside_a_request_use_the_first_apps_mesh(upstream):
    app = meshed(upstream("one"))
    assert requests.get("http://inventory/").json()["name"] == "one"
    with app.app_context(), request_context(deadline=5.0):
        assert requests.get("http://inventory/").json()["name"] == "one"


def test_settings_may_be_handed_in_instead_of_standing_in_the_config(upstream):
    app = flask.Flask("shop")
    Meshware(app, settings=settings_for(upstream("one")))
    app.add_url_rule("/", view_func=lambda: requests.get("http://inventory/").json())
    assert app.test_client().get("/").json["name"] == "one"


def test_without_instruments_plain_calls_are_left_alone_and_a_mounted_adapter_is_meshed(upstream):
    untouched = requests.adapters.HTTPAdapter.send
    app = flask.Flask("shop")
    Meshware(app, settings=settings_for(upstream("one")), instrument=False)
    assert requests.adapters.HTTPAdapter.send is untouched

    @app.get("/")
    def index():
        with requests.Session() as session:
            session.mount("http://", MeshAdapter())
            return session.get("http://inventory/").json()

    assert app.test_client().get("/").json["name"] == "one"


def test_the_second_time_on_one_app_is_an_error(upstream):
    app = meshed(upstream())
    with pytest.raises(ValueError, match="'shop' has meshware already"):
        Meshware(app)


def test_an_app_without_settings_is_told_where_they_belong():
    with pytest.raises(SettingsError, match=r'app\.config\["MESHWARE"\]'):
        Meshware(flask.Flask("shop"))


def test_wrong_settings_stop_the_start_with_every_problem_and_leave_the_app_as_it_was():
    app = flask.Flask("shop")
    app.config["MESHWARE"] = {"services": {"a": {"endpoints": []}, "b": {"endpoints": ["x"], "timeut": 1}}}
    with pytest.raises(SettingsError) as caught:
        Meshware(app)
    assert len(caught.value.problems) == 3
    assert "meshware" not in app.extensions


def test_what_is_no_flask_app_is_refused_by_name():
    with pytest.raises(TypeError, match=r"no Flask app.*meshware\.inbound\.wsgi"):
        Meshware(lambda environ, start_response: [])


# Flask as a plugin


def test_flask_is_found_by_its_entry_point_and_wrapped(upstream):
    one = upstream("one")
    app = flask.Flask("shop")
    app.config["MESHWARE"] = settings_for(one)
    app.add_url_rule("/", view_func=lambda: requests.get("http://inventory/").json())
    framework = plugins.make("meshware.frameworks", "flask", {})
    mesh = meshed(one).extensions["meshware"]
    assert framework.load_settings(app) == settings_for(one)
    framework.middleware(app, mesh)
    assert app.extensions["meshware"] is mesh
    assert app.test_client().get("/").json["name"] == "one"


def test_without_flask_the_import_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "flask", None)
    with pytest.raises(MissingExtra, match=r'flask is not installed: pip install "meshware\[flask\]"'):
        runpy.run_path(door.__file__)


def test_a_flask_that_is_broken_itself_is_not_taken_for_a_missing_one(monkeypatch, tmp_path):
    (tmp_path / "flask.py").write_text("import something_that_is_not_there")
    monkeypatch.delitem(sys.modules, "flask")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_that_is_not_there"):
        runpy.run_path(door.__file__)
