"""The WSGI door: the context's life, the headers it believes, and that it leaves the app alone."""

from __future__ import annotations

import gc
import io
import socket
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import pytest
import requests.adapters

from meshware import DeadlineExceeded, SettingsError, propagate, remaining, request_context
from meshware.context import Phase, current
from meshware.core.request import Request
from meshware.inbound.wsgi import MeshMiddleware
from meshware.mesh import Mesh, default_mesh
from meshware.settings.schema import MeshSettings

NOW = 1000.0
SERVICES = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}}
TEXT = [("Content-Type", "text/plain")]


def mesh_of(**settings):
    """A mesh whose clock stands at NOW."""
    return Mesh(MeshSettings.model_validate({**SERVICES, **settings}), clock=lambda: NOW)


def door(app, **settings):
    return MeshMiddleware(app, mesh=mesh_of(**settings), instrument=False)


def environ_of(method="GET", **extra):
    environ = {"REQUEST_METHOD": method, "QUERY_STRING": "", "REMOTE_ADDR": "127.0.0.1", **extra}
    setup_testing_defaults(environ)
    return environ


def hello(environ, start_response):
    start_response("200 OK", list(TEXT))
    return [b"hello"]


class Recorder:
    """A server's `start_response`."""

    def __init__(self):
        self.status = self.headers = None
        self.written = []

    def __call__(self, status, headers, exc_info=None):
        self.status, self.headers = status, headers
        return self.written.append


def serve(app, **extra):
    """One request to its end, as a server does it: status, headers, body."""
    answer = Recorder()
    body = app(environ_of(**extra), answer)
    try:
        chunks = list(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    return answer.status, answer.headers, b"".join([*answer.written, *chunks])


class Witness:
    """An app that keeps the context it ran in."""

    def __init__(self):
        self.contexts = []

    def __call__(self, environ, start_response):
        self.contexts.append(current())
        return hello(environ, start_response)


def deadline_seen(timeout=None, *, maximum=None):
    """Seconds that a request with this header has, or None when there is no deadline."""
    app = Witness()
    extra = {} if timeout is None else {"HTTP_X_MESHWARE_TIMEOUT": timeout}
    settings = {} if maximum is None else {"request_timeout": maximum}
    assert serve(door(app, **settings), **extra)[0] == "200 OK"
    deadline = app.contexts[0].deadline
    return None if deadline is None else deadline.remaining(NOW)


# The life of a context


def test_the_app_answers_as_before_and_the_door_keeps_to_the_wsgi_rules_on_both_sides():
    def streaming(environ, start_response):
        write = start_response("200 OK", [("Content-Type", "text/plain")])
        write(b"one ")
        return iter([b"two ", b"three"])

    for app in (hello, streaming):
        assert serve(validator(door(validator(app)))) == serve(validator(app))


def test_the_app_runs_in_a_context_of_its_own_that_is_gone_afterwards():
    app = Witness()
    meshed = door(app)
    serve(meshed)
    serve(meshed)
    first, second = app.contexts
    assert first is not second
    assert first.mesh is meshed.mesh
    assert current() is None


@pytest.mark.parametrize("ending", ["list", "tuple", "steps", "error"])
def test_work_left_running_has_an_allowance_of_its_own_however_the_request_ends(ending):
    contexts = []

    def app(environ, start_response):
        contexts.append(current())
        while contexts[0].spend():
            pass
        start_response("200 OK", list(TEXT))
        if ending == "error":
            raise LookupError
        return {"list": list, "tuple": tuple, "steps": iter}[ending]([b"hello"])

    with suppress(LookupError):
        serve(door(app))
    assert contexts[0].phase is Phase.DONE
    assert contexts[0].spend()


def test_a_streamed_body_sees_the_context_at_each_step_and_nobody_sees_it_between():
    seen = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        for number in range(3):
            seen.append(current())
            yield b"%d" % number

    answer = Recorder()
    body = door(app)(environ_of(), answer)
    chunks = []
    for chunk in body:
        assert current() is None
        chunks.append(chunk)
    body.close()
    assert chunks == [b"0", b"1", b"2"]
    assert answer.status == "200 OK"
    assert len(set(seen)) == 1
    assert seen[0] is not None


def test_what_the_app_writes_by_the_old_callable_goes_out():
    def app(environ, start_response):
        write = start_response("200 OK", list(TEXT))
        write(b"written ")
        return [b"returned"]

    assert serve(door(app))[2] == b"written returned"


def test_a_context_is_active_until_the_body_ends_and_done_when_it_is_closed():
    phases = []

    class Body:
        def __init__(self, context):
            self.context = context
            self.chunks = iter([b"a", b"b"])

        def __iter__(self):
            return self

        def __next__(self):
            phases.append(self.context.phase)
            return next(self.chunks)

        def close(self):
            assert current() is self.context
            phases.append(self.context.phase)

    kept = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        kept.append(current())
        return Body(current())

    serve(door(app))
    assert phases == [Phase.ACTIVE, Phase.ACTIVE, Phase.ACTIVE, Phase.RESPONDED]
    assert kept[0].phase is Phase.DONE


def test_the_last_chunk_is_the_end_of_the_answer_even_if_the_server_closes_later_or_never():
    kept = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        kept.append(current())
        return iter([b"x"])

    body = door(app)(environ_of(), Recorder())
    assert list(body) == [b"x"]
    assert kept[0].phase is Phase.RESPONDED


def test_a_body_that_is_closed_early_has_responded():
    phases = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        context = current()
        try:
            yield b"first"
            yield b"second"
        finally:
            phases.append(context.phase)

    body = door(app)(environ_of(), Recorder())
    assert next(iter(body)) == b"first"
    body.close()
    assert phases == [Phase.RESPONDED]


def test_a_body_without_close_ends_its_context_all_the_same():
    kept = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        kept.append(current())
        return iter([b"x"])

    serve(door(app))
    assert kept[0].phase is Phase.DONE


def test_a_response_that_is_never_closed_leaks_nothing_into_the_thread():
    class Resource:
        pass

    alive = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        mine = Resource()
        alive.append(weakref.ref(mine))
        yield b"first"
        yield b"second"

    body = door(app)(environ_of(), Recorder())
    assert next(iter(body)) == b"first"
    assert current() is None
    del body
    gc.collect()
    assert alive[0]() is None
    assert current() is None


def test_an_error_of_the_app_passes_unchanged_and_ends_the_context():
    for error in (KeyError("x"), DeadlineExceeded("inventory", 1.0, 2), KeyboardInterrupt()):
        kept = []

        def app(environ, start_response, error=error, kept=kept):
            kept.append(current())
            raise error

        with pytest.raises(type(error)) as caught:
            door(app)(environ_of(), Recorder())
        assert caught.value is error
        assert kept[0].phase is Phase.DONE
        assert current() is None


def test_an_error_inside_the_body_passes_unchanged_and_leaves_no_context():
    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        yield b"first"
        raise KeyError("x")

    body = door(app)(environ_of(), Recorder())
    chunks = iter(body)
    next(chunks)
    with pytest.raises(KeyError):
        next(chunks)
    assert current() is None
    body.close()


def test_an_error_in_close_passes_and_still_ends_the_context():
    class Body(list):
        def __init__(self, context):
            super().__init__([b"x"])
            self.context = context

        def close(self):
            raise OSError("disk full")

    made = []

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        made.append(Body(current()))
        return made[0]

    with pytest.raises(OSError, match="disk full"):
        serve(door(app))
    assert made[0].context.phase is Phase.DONE
    assert current() is None


def test_a_plain_list_reaches_the_server_as_it_is_so_that_it_may_count_it():
    chunks, kept = [b"hello"], []

    def app(environ, start_response):
        kept.append(current())
        return chunks

    assert door(app)(environ_of(), Recorder()) is chunks
    assert kept[0].phase is Phase.DONE


def test_a_file_reaches_the_server_in_the_servers_own_wrapper():
    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        return environ["wsgi.file_wrapper"](io.BytesIO(b"a file"))

    body = door(app)(environ_of(**{"wsgi.file_wrapper": FileWrapper}), Recorder())
    assert isinstance(body, FileWrapper)
    assert b"".join(body) == b"a file"


def test_a_file_wrapper_that_is_a_function_breaks_nothing():
    def wrapper(file, size=8192):
        return iter(lambda: file.read(size), b"")

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        return environ["wsgi.file_wrapper"](io.BytesIO(b"a file"))

    assert serve(door(app), **{"wsgi.file_wrapper": wrapper})[2] == b"a file"
    assert serve(door(hello), **{"wsgi.file_wrapper": wrapper})[2] == b"hello"


def test_of_a_thousand_requests_each_sees_its_own_context_to_the_last_byte_and_no_thread_keeps_one():
    begun = threading.Barrier(8)

    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        begun.wait(10)
        for _ in range(20):
            yield f"{current().deadline.timeout:.3f} ".encode()

    meshed = door(app, request_timeout=1000.0)

    def work(number):
        mine = f"{500 + number / 1000:.3f}"
        body = serve(meshed, HTTP_X_MESHWARE_TIMEOUT=mine)[2]
        assert current() is None
        return body == f"{mine} ".encode() * 20

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(1000)))


def test_work_that_outlives_the_answer_has_no_deadline_any_more():
    told = {}

    def app(environ, start_response):
        told["during"] = remaining()
        told["later"] = propagate(remaining)
        start_response("200 OK", list(TEXT))
        return iter([b"x"])

    serve(MeshMiddleware(app, {**SERVICES, "request_timeout": 5.0}, instrument=False))
    assert 0 < told["during"] <= 5.0
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(told["later"]).result() is None


# Deadlines


def test_the_callers_deadline_counts_where_it_is_shorter():
    assert deadline_seen("1.5") == pytest.approx(1.5)
    assert deadline_seen("1.5", maximum=2.5) == pytest.approx(1.5)
    assert deadline_seen("60", maximum=2.5) == pytest.approx(2.5)
    assert deadline_seen("999999999", maximum=2.5) == pytest.approx(2.5)
    assert deadline_seen(maximum=2.5) == pytest.approx(2.5)
    assert deadline_seen() is None


def test_where_no_maximum_is_set_nobody_can_lengthen_the_default_timeout_of_a_call():
    assert deadline_seen("10") == pytest.approx(10.0)
    assert deadline_seen("10.001") is None
    assert deadline_seen("999999999") is None
    begun = []

    def app(environ, start_response):
        mesh = meshed.mesh
        call = mesh.call(mesh.services["inventory"], Request("GET", "inventory", "/", {}))
        attempt = call.begin(mesh.clock())
        begun.append(call.deadline.remaining(mesh.clock()))
        call.abandon(attempt, mesh.clock())
        return hello(environ, start_response)

    meshed = MeshMiddleware(app, SERVICES, instrument=False)
    serve(meshed, HTTP_X_MESHWARE_TIMEOUT="999999999")
    assert 0 < begun[0] <= 10.0


BAD = ["-1", "nan", "inf", "-inf", "1e308", "1_0", "\u0661\u0662", "", " ", " 1", "1 ", "+1", "0x1", "1.", ".5"]
BAD += ["1,2", "1, 1", "1,", ",", "1.5\n", "9" * 10, "9" * 2**20, "1," * 2**19]


@pytest.mark.parametrize("value", BAD, ids=lambda value: repr(value[:12]))
def test_a_deadline_that_cannot_be_read_or_is_repeated_says_nothing(value):
    assert deadline_seen(value, maximum=2.5) == pytest.approx(2.5)
    assert deadline_seen(value) is None


@pytest.mark.row("F50")
@pytest.mark.parametrize("value", ["0", "0.0", "0.000", "000"])
def test_a_request_that_has_expired_on_arrival_is_answered_504_and_the_app_is_not_called(value):
    app = Witness()
    status, headers, body = serve(validator(door(app)), HTTP_X_MESHWARE_TIMEOUT=value)
    assert status == "504 Gateway Timeout"
    assert int(dict(headers)["Content-Length"]) == len(body) > 0
    assert app.contexts == []


def test_an_expired_head_request_gets_no_body():
    status, headers, body = serve(validator(door(hello)), method="HEAD", HTTP_X_MESHWARE_TIMEOUT="0")
    assert status == "504 Gateway Timeout"
    assert body == b""
    assert "Content-Length" in dict(headers)


def test_a_header_that_is_really_sent_twice_says_nothing():
    app = Witness()

    class Quiet(WSGIRequestHandler):
        def log_message(self, *args):
            """Nothing."""

    with make_server("127.0.0.1", 0, validator(door(validator(app))), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with socket.create_connection(("127.0.0.1", server.server_port), 10) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\nHost: x\r\nX-Meshware-Timeout: 0\r\nX-Meshware-Timeout: 1\r\n\r\n")
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
        thread.join()
    assert answer.startswith(b"HTTP/1.0 200")
    assert app.contexts[0].deadline is None


def test_a_door_within_a_door_never_outlives_it():
    app = Witness()
    serve(door(door(app, request_timeout=60.0), request_timeout=2.0))
    assert app.contexts[0].deadline.remaining(NOW) == pytest.approx(2.0)


def test_a_request_made_inside_a_job_that_is_over_is_not_begun():
    app = Witness()
    with request_context(deadline=0):
        assert serve(MeshMiddleware(app, SERVICES, instrument=False))[0] == "504 Gateway Timeout"
    assert app.contexts == []


def test_reloaded_settings_hold_from_the_next_request_on():
    app = Witness()
    meshed = door(app, request_timeout=5.0)
    meshed.mesh.reload({**SERVICES, "request_timeout": 1.0, "trusted_peers": ["127.0.0.0/8"]})
    serve(meshed, HTTP_X_MESHWARE_ATTEMPT="2")
    assert app.contexts[0].deadline.remaining(NOW) == pytest.approx(1.0)
    assert app.contexts[0].attempt == 2


# Marks


@pytest.mark.parametrize(
    ("peers", "address", "value", "attempt"),
    [
        (["10.0.0.0/8"], "10.1.2.3", "3", 3),
        (["10.0.0.0/8"], "11.1.2.3", "3", 1),
        (["fd00::/8"], "fd00::1", "2", 2),
        ([], "127.0.0.1", "3", 1),
        (["10.0.0.0/8"], "", "3", 1),
        (["10.0.0.0/8"], "unix:", "3", 1),
        (["10.0.0.0/8"], "10.1.2.3", "3,3", 1),
        (["10.0.0.0/8"], "10.1.2.3", "nan", 1),
        (["10.0.0.0/8"], "10.1.2.3", "0", 1),
        (["10.0.0.0/8"], "10.1.2.3", "1000000", 1),
    ],
)
def test_an_attempt_mark_is_taken_from_trusted_peers_only(peers, address, value, attempt):
    app = Witness()
    serve(door(app, trusted_peers=peers), REMOTE_ADDR=address, HTTP_X_MESHWARE_ATTEMPT=value)
    assert app.contexts[0].attempt == attempt


def test_a_server_that_names_no_peer_is_trusted_with_nothing():
    app = Witness()
    environ = environ_of(HTTP_X_MESHWARE_ATTEMPT="3")
    del environ["REMOTE_ADDR"]
    door(app, trusted_peers=["10.0.0.0/8"])(environ, Recorder())
    assert app.contexts[0].attempt == 1


@pytest.mark.parametrize(
    ("status", "retried", "marked"),
    [
        ("503 Service Unavailable", True, True),
        ("500 Internal Server Error", True, True),
        ("503 Service Unavailable", False, False),
        ("200 OK", True, False),
        ("429 Too Many Requests", True, False),
    ],
)
def test_a_failure_after_a_retry_of_this_tier_is_marked_for_the_one_above(status, retried, marked):
    own = list(TEXT)

    def app(environ, start_response):
        if retried:
            current().spend()
        start_response(status, own)
        return [b"x"]

    _, headers, _ = serve(validator(door(validator(app))))
    assert (("x-meshware-retried", "1") in headers) is marked
    assert own == TEXT


def test_an_error_page_begun_anew_is_marked_too():
    def app(environ, start_response):
        start_response("200 OK", list(TEXT))
        current().spend()
        try:
            raise KeyError("x")
        except KeyError as error:
            start_response("500 Internal Server Error", list(TEXT), (KeyError, error, error.__traceback__))
        return [b"x"]

    status, headers, _ = serve(door(app))
    assert status.startswith("500")
    assert ("x-meshware-retried", "1") in headers


# Making one


def test_settings_or_a_mesh_but_not_both():
    with pytest.raises(TypeError, match="not both"):
        MeshMiddleware(hello, SERVICES, mesh=mesh_of())


def test_wrong_settings_stop_the_start_with_every_problem():
    with pytest.raises(SettingsError) as caught:
        MeshMiddleware(hello, {"servces": {}, "services": {"a": {"endpoints": []}}})
    assert len(caught.value.problems) == 2


def test_no_settings_at_all_stop_the_start_as_well():
    with pytest.raises(SettingsError):
        MeshMiddleware(hello)


def test_the_first_door_makes_the_default_mesh_and_equal_settings_share_it():
    first = MeshMiddleware(hello, SERVICES)
    second = MeshMiddleware(hello, dict(SERVICES))
    other = MeshMiddleware(hello, {**SERVICES, "request_timeout": 1.0})
    assert first.mesh is second.mesh is default_mesh()
    assert other.mesh is not first.mesh


@pytest.mark.parametrize("ready", [True, False], ids=["mesh", "settings"])
def test_a_door_instruments_the_clients_unless_told_not_to(ready):
    untouched = requests.adapters.HTTPAdapter.send
    source = {"mesh": mesh_of()} if ready else {"settings": SERVICES}
    MeshMiddleware(hello, **source, instrument=False)
    assert requests.adapters.HTTPAdapter.send is untouched
    MeshMiddleware(hello, **source)
    assert requests.adapters.HTTPAdapter.send is not untouched
