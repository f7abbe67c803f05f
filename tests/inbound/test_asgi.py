"""The ASGI door: the context's life, the headers it believes, and that it leaves the app alone."""

from __future__ import annotations

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests.adapters
from inbound.asgi_server import Exchange, answer, served

from meshware import DeadlineExceeded, SettingsError, propagate, remaining, request_context
from meshware.context import Phase, RequestContext, current
from meshware.inbound.asgi import MeshMiddleware
from meshware.mesh import Mesh, default_mesh
from meshware.settings.schema import MeshSettings

NOW = 1000.0
SERVICES = {"services": {"inventory": {"endpoints": ["127.0.0.1:9"]}}}


def mesh_of(**settings):
    """A mesh whose clock stands at NOW."""
    return Mesh(MeshSettings.model_validate({**SERVICES, **settings}), clock=lambda: NOW)


def door(app, **settings):
    return MeshMiddleware(app, mesh=mesh_of(**settings), instrument=False)


async def hello(scope, receive, send):
    await answer(send, b"hello")


class Witness:
    """An app that keeps the context it ran in."""

    def __init__(self):
        self.contexts = []

    async def __call__(self, scope, receive, send):
        self.contexts.append(current())
        await answer(send, b"hello")


def contexts():
    """Those that anything holds."""
    return {id(each) for each in gc.get_objects() if type(each) is RequestContext}


def deadline_seen(*timeouts, maximum=None, **options):
    """Seconds that a request with these headers has, or None when there is no deadline."""
    app = Witness()
    settings = {} if maximum is None else {"request_timeout": maximum}
    headers = [("X-Meshware-Timeout", each) for each in timeouts]
    assert served(door(app, **settings), headers=headers, **options).status == 200
    deadline = app.contexts[0].deadline
    return None if deadline is None else deadline.remaining(NOW)


# The life of a context


def test_the_app_gets_what_the_server_tells_and_the_server_what_the_app_sends():
    async def echo(scope, receive, send):
        assert scope["method"] == "POST"
        pieces = []
        while not pieces or pieces[-1]["more_body"]:
            pieces.append(await receive())
        await answer(send, *(each["body"] for each in pieces))

    async def run(app):
        exchange = Exchange(app, method="POST", body=False)
        for piece in (b"one ", b"two ", b"three"):
            exchange.tell("http.request", body=piece, more_body=piece != b"three")
        return (await exchange.run()).sent

    assert asyncio.run(run(door(echo))) == asyncio.run(run(echo))


def test_the_app_runs_in_a_context_of_its_own_that_is_gone_afterwards():
    app = Witness()
    meshed = door(app)

    async def both():
        await Exchange(meshed).run()
        assert current() is None
        await Exchange(meshed).run()

    asyncio.run(both())
    first, second = app.contexts
    assert first is not second
    assert first.mesh is meshed.mesh
    assert current() is None


def test_a_context_is_active_to_the_last_byte_then_responded_then_done():
    phases = []

    async def app(scope, receive, send):
        mine = current()
        phases.append(mine.phase)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        phases.append(mine.phase)
        await send({"type": "http.response.body", "body": b"b", "more_body": False})
        phases.append(mine.phase)
        phases.append(mine)

    served(door(app))
    *phases, mine = phases
    assert phases == [Phase.ACTIVE, Phase.ACTIVE, Phase.RESPONDED]
    assert mine.phase is Phase.DONE


def test_a_file_that_the_server_sends_by_its_path_is_an_answer():
    phases = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/dev/null"})
        phases.append(current().phase)

    served(door(app))
    assert phases == [Phase.RESPONDED]


def test_after_the_answer_background_work_has_no_deadline_and_an_allowance_of_its_own():
    told = []

    async def app(scope, receive, send):
        context = current()
        told.append(remaining())
        while context.spend():
            pass
        await answer(send)
        told.append(remaining())
        told.append(context.spend())

    served(MeshMiddleware(app, {**SERVICES, "request_timeout": 5.0}, instrument=False))
    assert 0 < told[0] <= 5.0
    assert told[1:] == [None, True]


@pytest.mark.row("F58")
def test_tasks_and_threads_of_a_request_see_its_context_and_pools_do_when_told():
    seen, mine = [], []

    async def app(scope, receive, send):
        mine.append(current())

        async def child():
            await asyncio.sleep(0)
            return current()

        seen.append(await asyncio.create_task(child()))
        seen.extend(await asyncio.gather(child(), child()))
        seen.append(await asyncio.to_thread(current))
        with ThreadPoolExecutor(1) as pool:
            loop = asyncio.get_running_loop()
            seen.append(await loop.run_in_executor(pool, propagate(current)))
            assert await loop.run_in_executor(pool, current) is None
        await answer(send)

    served(door(app))
    assert seen == mine * 5


def test_what_outlives_its_request_is_in_a_context_that_is_done():
    async def run():
        left = []

        async def app(scope, receive, send):
            left.append(asyncio.create_task(later()))
            await answer(send)

        async def later():
            await asyncio.sleep(0.01)
            return current().phase, remaining()

        await Exchange(door(app, request_timeout=5.0)).run()
        return await left[0]

    assert asyncio.run(run()) == (Phase.DONE, None)


@pytest.mark.parametrize("kind", [KeyError, KeyboardInterrupt, DeadlineExceeded])
def test_an_error_of_the_app_passes_unchanged_and_ends_the_context(kind):
    error = DeadlineExceeded("inventory", 1.0, 2) if kind is DeadlineExceeded else kind("x")
    kept = []

    async def app(scope, receive, send):
        kept.append(current())
        raise error

    async def run():
        with pytest.raises(kind) as caught:
            await Exchange(door(app)).run()
        assert caught.value is error
        assert current() is None

    asyncio.run(run())
    assert kept[0].phase is Phase.DONE


def test_a_request_that_the_server_cancels_ends_as_cancelled():
    async def run():
        kept = []

        async def app(scope, receive, send):
            kept.append(current())
            await asyncio.Event().wait()

        task = asyncio.create_task(Exchange(door(app)).run())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return kept[0].phase

    assert asyncio.run(run()) is Phase.DONE


def test_a_thousand_requests_at_once_see_each_its_own_context():
    async def run():
        seen = {}
        together = asyncio.Barrier(1000)

        async def app(scope, receive, send):
            mine = seen[id(scope)] = current()
            await together.wait()
            assert current() is mine
            assert await asyncio.create_task(asyncio.sleep(0, current())) is mine
            async for _ in stream(mine):
                await send({"type": "http.response.body", "more_body": True})
            await answer(send, str(mine.deadline.timeout).encode())

        async def stream(mine):
            for _ in range(3):
                await asyncio.sleep(0)
                assert current() is mine
                yield

        meshed = door(app)
        headers = [[("x-meshware-timeout", f"{1 + number / 1000:.3f}")] for number in range(1000)]
        done = await asyncio.gather(*(Exchange(meshed, headers=each).run() for each in headers))
        for number, exchange in enumerate(done):
            assert float(exchange.body) == pytest.approx(1 + number / 1000)
        assert len({id(context) for context in seen.values()}) == 1000

    asyncio.run(run())


def test_nothing_of_a_request_is_kept_when_it_is_over():
    class Resource:
        pass

    alive = []

    async def app(scope, receive, send):
        mine = Resource()
        alive.append(weakref.ref(mine))
        undo = current().on_cancel(lambda: mine)  # as an outbound call that is under way
        await asyncio.sleep(0)
        undo()
        await receive()
        await answer(send)

    async def run():
        meshed = door(app)
        gc.collect()
        before = contexts()
        for _ in range(10):
            await Exchange(meshed).run()
        await asyncio.sleep(0)  # the readers ahead end
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        assert [each() for each in alive] == [None] * 10
        assert contexts() == before

    asyncio.run(run())


def test_a_request_leaves_no_cycle_to_the_collector():
    async def run():
        meshed = door(hello)
        await Exchange(meshed).run()
        gc.collect()
        before = contexts()
        gc.disable()
        try:
            await Exchange(meshed).run()
            assert contexts() == before
        finally:
            gc.enable()

    asyncio.run(run())


# Deadlines


@pytest.mark.row("F52")
def test_the_callers_deadline_counts_where_it_is_shorter():
    assert deadline_seen("1.5") == pytest.approx(1.5)
    assert deadline_seen("1.5", maximum=2.5) == pytest.approx(1.5)
    assert deadline_seen("60", maximum=2.5) == pytest.approx(2.5)
    assert deadline_seen(maximum=2.5) == pytest.approx(2.5)
    assert deadline_seen("10.001") is None
    assert deadline_seen() is None


@pytest.mark.parametrize("value", ["-1", "nan", "1_0", "\xb2", "", " 1", "1,2", "1,", "9" * 2**20], ids=lambda v: v[:9])
def test_a_deadline_that_cannot_be_read_says_nothing(value):
    assert deadline_seen(value, maximum=2.5) == pytest.approx(2.5)
    assert deadline_seen(value) is None


def test_a_deadline_that_is_sent_twice_says_nothing():
    assert deadline_seen("0", "1") is None
    assert deadline_seen("1", "1", maximum=2.5) == pytest.approx(2.5)


def test_a_request_that_has_expired_on_arrival_is_answered_504_and_the_app_is_not_called():
    app = Witness()
    exchange = served(door(app), headers=[("x-meshware-timeout", "0")])
    assert exchange.status == 504
    assert int(exchange.headers[b"content-length"]) == len(exchange.body) > 0
    assert app.contexts == []


def test_an_expired_head_request_gets_no_body():
    exchange = served(door(hello), method="HEAD", headers=[("x-meshware-timeout", "0")])
    assert (exchange.status, exchange.body) == (504, b"")


def test_a_door_within_a_door_never_outlives_it():
    app = Witness()
    served(door(door(app, request_timeout=60.0), request_timeout=2.0))
    assert app.contexts[0].deadline.remaining(NOW) == pytest.approx(2.0)


def test_a_request_made_inside_a_job_that_is_over_is_not_begun():
    with request_context(deadline=0):
        assert served(MeshMiddleware(hello, SERVICES, instrument=False)).status == 504


def test_reloaded_settings_hold_from_the_next_request_on():
    app = Witness()
    meshed = door(app, request_timeout=5.0)
    meshed.mesh.reload({**SERVICES, "request_timeout": 1.0, "trusted_peers": ["127.0.0.0/8"]})
    served(meshed, headers=[("x-meshware-attempt", "2")])
    assert app.contexts[0].deadline.remaining(NOW) == pytest.approx(1.0)
    assert app.contexts[0].attempt == 2


# Marks


@pytest.mark.parametrize(
    ("peers", "client", "values", "attempt"),
    [
        (["10.0.0.0/8"], ("10.1.2.3", 1), ["3"], 3),
        (["10.0.0.0/8"], ["10.1.2.3", 1], ["3"], 3),
        (["10.0.0.0/8"], ("11.1.2.3", 1), ["3"], 1),
        (["10.0.0.0/8"], None, ["3"], 1),
        (["10.0.0.0/8"], ("/run/app.sock", None), ["3"], 1),
        ([], ("127.0.0.1", 1), ["3"], 1),
        (["10.0.0.0/8"], ("10.1.2.3", 1), ["3", "3"], 1),
    ],
)
def test_only_a_trusted_peer_says_how_often_it_has_tried(peers, client, values, attempt):
    app = Witness()
    headers = [("x-meshware-attempt", each) for each in values]
    served(door(app, trusted_peers=peers), headers=headers, client=client)
    assert app.contexts[0].attempt == attempt


@pytest.mark.parametrize(("status", "retried", "marked"), [(503, True, True), (503, False, False), (404, True, False)])
def test_a_failure_after_a_retry_is_marked_for_the_tier_above(status, retried, marked):
    async def app(scope, receive, send):
        if retried:
            current().spend()
        await answer(send, b"x", status=status)

    exchange = served(door(app))
    assert exchange.headers.get(b"x-meshware-retried") == (b"1" if marked else None)
    assert exchange.headers[b"content-type"] == b"text/plain"


# Websockets


def socket_app(seen):
    async def app(scope, receive, send):
        seen.append(current())
        assert (await receive())["type"] == "websocket.connect"
        seen.append((current().phase, remaining() is not None))
        await send({"type": "websocket.accept"})
        seen.append((current().phase, remaining() is not None))
        while (await receive())["type"] == "websocket.receive":
            seen.append(current())
            await send({"type": "websocket.send", "text": "heard"})
        seen.append(current())

    return app


def talk(app, *, headers=()):
    async def run():
        exchange = Exchange(app, kind="websocket", headers=headers)
        exchange.tell("websocket.connect")
        exchange.tell("websocket.receive", text="hello")
        exchange.tell("websocket.disconnect", code=1000)
        return await exchange.run()

    return asyncio.run(run())


def test_a_websocket_has_one_context_for_each_of_its_messages_and_no_deadline_once_it_is_accepted():
    seen = []
    exchange = talk(MeshMiddleware(socket_app(seen), {**SERVICES, "request_timeout": 5.0}, instrument=False))
    assert [each["type"] for each in exchange.sent] == ["websocket.accept", "websocket.send"]
    context, before, after, *rest = seen
    assert (before, after) == ((Phase.ACTIVE, True), (Phase.RESPONDED, False))
    assert rest == [context] * 2
    assert context.phase is Phase.DONE


def test_a_websocket_may_live_for_days_so_its_calls_retry_as_their_services_budgets_pay():
    seen = []
    talk(door(socket_app(seen)))
    assert all(seen[0].spend() for _ in range(100))


def test_a_websocket_that_has_expired_on_arrival_is_closed_before_it_is_accepted():
    seen = []
    exchange = talk(door(socket_app(seen)), headers=[("x-meshware-timeout", "0")])
    assert [each["type"] for each in exchange.sent] == ["websocket.close"]
    assert seen == []


def test_a_websocket_that_is_refused_with_an_answer_says_that_there_was_a_retry():
    phases = []

    async def app(scope, receive, send):
        current().spend()
        await send({"type": "websocket.http.response.start", "status": 503, "headers": []})
        phases.append(current().phase)
        await send({"type": "websocket.http.response.body", "body": b""})
        phases.append(current().phase)

    exchange = served(door(app), kind="websocket")
    assert (b"x-meshware-retried", b"1") in exchange.sent[0]["headers"]
    assert phases == [Phase.ACTIVE, Phase.RESPONDED]


def test_what_is_neither_http_nor_a_websocket_passes():
    seen = []

    async def app(scope, receive, send):
        seen.append((scope["type"], current()))

    served(door(app), kind="telepathy")
    assert seen == [("telepathy", None)]


# Making it


def test_it_takes_settings_or_a_mesh():
    with pytest.raises(TypeError, match="not both"):
        MeshMiddleware(hello, SERVICES, mesh=mesh_of())


def test_the_first_mesh_of_a_process_is_its_default_one_and_clients_are_instrumented_unless_told_otherwise():
    plain = requests.adapters.HTTPAdapter.send
    assert MeshMiddleware(hello, SERVICES, instrument=False).mesh is default_mesh()
    assert requests.adapters.HTTPAdapter.send is plain
    MeshMiddleware(hello, SERVICES)
    assert requests.adapters.HTTPAdapter.send is not plain


def test_wrong_settings_are_told_with_each_request_where_the_server_does_not_ask_before():
    meshed = MeshMiddleware(hello, {"servises": {}}, instrument=False)
    for _ in range(2):
        with pytest.raises(SettingsError, match="services"):
            served(meshed)
    with pytest.raises(SettingsError):
        meshed.mesh  # noqa: B018


# The server's start and end


class Lifespan:
    """A server's start and end of an app."""

    def __init__(self, app):
        self.app = app
        self.said = []

    async def __aenter__(self):
        self._incoming, self._heard = asyncio.Queue(), asyncio.Queue()
        self._task = asyncio.create_task(self.app({"type": "lifespan"}, self._incoming.get, self._heard.put))
        await self._ask("lifespan.startup")
        return self

    async def __aexit__(self, *error):
        await self._ask("lifespan.shutdown")
        await self._task

    async def _ask(self, kind):
        self._incoming.put_nowait({"type": kind})
        asked = asyncio.create_task(self._heard.get())
        await asyncio.wait([asked, self._task], return_when=asyncio.FIRST_COMPLETED)
        if asked.done():
            self.said.append(asked.result())
        else:
            asked.cancel()
            await self._task


async def living(scope, receive, send):
    """An app with a start and an end of its own."""
    if scope["type"] != "lifespan":
        return await hello(scope, receive, send)
    assert (await receive())["type"] == "lifespan.startup"
    await send({"type": "lifespan.startup.complete"})
    assert (await receive())["type"] == "lifespan.shutdown"
    return await send({"type": "lifespan.shutdown.complete"})


def test_the_apps_own_start_and_end_are_asked_for_and_the_mesh_that_was_opened_here_ends_with_them():
    async def run():
        meshed = MeshMiddleware(living, SERVICES, instrument=False)
        first = meshed.mesh
        async with Lifespan(meshed) as life:
            assert default_mesh() is first
            assert (await Exchange(meshed).run()).status == 200
        assert [each["type"] for each in life.said] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
        assert default_mesh() is None
        assert (await Exchange(meshed).run()).status == 200  # a late one still ends as it would
        async with Lifespan(meshed):  # as with a test client that is entered twice
            assert default_mesh() is meshed.mesh is not first
        assert default_mesh() is None

    asyncio.run(run())


@pytest.mark.parametrize("how", ["given", "found"])
def test_a_mesh_that_was_there_before_outlives_the_server(how):
    async def run():
        mesh = Mesh.from_settings(SERVICES).install()
        made = {"mesh": mesh} if how == "given" else {"settings": SERVICES}
        meshed = MeshMiddleware(living, **made, instrument=False)
        for _ in range(2):
            async with Lifespan(meshed):
                assert meshed.mesh is mesh
        assert default_mesh() is mesh

    asyncio.run(run())


def test_wrong_settings_stop_the_server_at_its_start():
    async def run():
        life = Lifespan(MeshMiddleware(living, {"servises": {}}, instrument=False))
        with pytest.raises(SettingsError):
            async with life:
                pass
        (said,) = life.said
        assert said["type"] == "lifespan.startup.failed"
        assert "servises" in said["message"]

    asyncio.run(run())


def test_an_app_that_fails_to_start_leaves_no_mesh_behind():
    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async def run():
        life = Lifespan(MeshMiddleware(failing, SERVICES, instrument=False))
        await life.__aenter__()
        await life._task
        assert life.said == [{"type": "lifespan.startup.failed", "message": "no database"}]
        assert default_mesh() is None

    asyncio.run(run())


def test_an_app_without_a_start_and_end_says_so_itself_and_works():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            raise NotImplementedError
        await hello(scope, receive, send)

    async def run():
        meshed = MeshMiddleware(app, SERVICES, instrument=False)
        with pytest.raises(NotImplementedError):
            async with Lifespan(meshed):
                pass
        assert (await Exchange(meshed).run()).body == b"hello"
        assert default_mesh() is meshed.mesh

    asyncio.run(run())
