"""Django's door in-process: contexts to the last byte, checks, settings that change, the command."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.cache import cache
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.core.signals import request_finished
from django.test import AsyncClient, Client, RequestFactory
from django.test.utils import override_settings
from frameworks import django_site as site
from frameworks.django_site import seen

import meshware
from meshware import plugins
from meshware.context import Phase, current
from meshware.inbound.django import MeshMiddleware
from meshware.inbound.django import mesh as the_mesh
from meshware.security.orca import read_report

TIMEOUT, ATTEMPT = "HTTP_X_MESHWARE_TIMEOUT", "HTTP_X_MESHWARE_ATTEMPT"


@pytest.fixture(autouse=True, scope="module")
def _one_process_long():
    """The site's mesh is the process's default one, as in a real process; here others come after it."""
    yield
    the_mesh.door().mesh.close()
    the_mesh._door = None


@pytest.fixture(autouse=True)
def fresh():
    seen.clear()
    yield
    assert current() is None


class Sync:
    """Django's test client over the sync handler."""

    def get(self, path, **headers):
        answer = Client(raise_request_exception=False).get(path, **headers)
        body = b"".join(answer)
        answer.close()
        return answer.status_code, body, answer


class Async:
    """The same over the async handler."""

    def get(self, path, **headers):
        async def ask():
            names = {name.removeprefix("HTTP_").replace("_", "-"): value for name, value in headers.items()}
            client = AsyncClient(raise_request_exception=False)
            answer = await client.get(path, headers=names)
            if not answer.streaming:
                return answer.status_code, answer.content, answer
            if answer.is_async:
                body = b"".join([piece async for piece in answer.streaming_content])
            else:
                body = b"".join(answer.streaming_content)
            answer.close()
            return answer.status_code, body, answer

        return asyncio.run(ask())


@pytest.fixture(params=[Sync, Async], ids=["sync", "async"])
def client(request):
    return request.param()


@pytest.mark.parametrize("path", ["/plain", "/plain-async"])
def test_a_view_has_a_context_with_the_requests_deadline(client, path):
    status, body, _ = client.get(f"{path}?id=1")
    assert status == 200
    assert 4.0 < json.loads(body)["remaining"] <= 5.0
    (context,) = seen["1"]
    assert context.phase is Phase.DONE
    assert context.mesh is the_mesh.door().mesh


def test_a_callers_deadline_shortens_and_never_lengthens(client):
    assert json.loads(client.get("/plain", **{TIMEOUT: "1.5"})[1])["remaining"] <= 1.5
    assert 4.0 < json.loads(client.get("/plain", **{TIMEOUT: "60"})[1])["remaining"] <= 5.0


def test_an_expired_request_is_answered_504_and_no_view_is_called(client):
    status, body, _ = client.get("/plain?id=1", **{TIMEOUT: "0"})
    assert (status, seen) == (504, {})
    assert b"deadline" in body


@pytest.mark.parametrize("path", ["/stream", "/stream-async"])
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_every_piece_of_a_stream_sees_the_same_context(client, path):
    status, body, _ = client.get(f"{path}?id=1")
    assert (status, body) == (200, b"0:active 1:active 2:active ")
    assert len(set(map(id, seen["1"]))) == 1
    assert seen["1"][0].phase is Phase.DONE


def test_a_file_is_left_to_the_server(client):
    status, body, _ = client.get("/file?id=1")
    assert status == 200
    assert body.startswith(b'"""A Django site')
    assert seen["1"][0].phase is Phase.DONE
    answer = MeshMiddleware(site.file)(RequestFactory().get("/file"))
    assert answer.file_to_stream is not None  # to be sent by the kernel
    answer.close()


def test_what_runs_when_the_answer_was_sent_is_background_work(client):
    client.get("/closing")
    assert seen["closed"] == [(Phase.RESPONDED, None)]


@pytest.mark.parametrize(("status", "marked"), [(503, True), (200, False)])
def test_an_answer_of_a_tier_that_retried_says_so(client, status, marked):
    _, _, answer = client.get(f"/retried?status={status}")
    assert ("x-meshware-retried" in answer.headers) is marked


@pytest.fixture
def trusting():
    """The site's settings, with callers who may hear how busy it is."""
    with override_settings(MESHWARE=site.MESHWARE | {"trusted_peers": ["127.0.0.0/8"], "slots": 3}):
        mesh = the_mesh.door().mesh
        mesh.load.after_fork()  # answers of other tests may still be open
        yield mesh


@pytest.mark.parametrize("path", ["/plain", "/plain-async", "/stream"])
def test_who_may_hear_it_and_asks_is_told_how_busy_the_server_is(client, trusting, path):
    _, _, answer = client.get(path, HTTP_X_MESHWARE_REPORT="1")
    report = read_report(answer.headers["endpoint-load-metrics"])
    assert report.queue == 1
    answer.close()
    assert trusting.load.own(trusting.clock()).in_flight == 0


def test_nobody_else_is_told(client, trusting):
    assert "endpoint-load-metrics" not in client.get("/plain")[2].headers
    trusting.reload(site.MESHWARE)
    assert "endpoint-load-metrics" not in client.get("/plain", HTTP_X_MESHWARE_REPORT="1")[2].headers


def test_a_question_how_busy_it_is_is_answered_before_any_view(client, trusting):
    status, body, answer = client.get("/.well-known/meshware/load")
    assert (status, body) == (204, b"")
    assert "named_metrics.slots=3" in answer.headers["endpoint-load-metrics"]
    trusting.reload(site.MESHWARE)
    assert client.get("/.well-known/meshware/load")[0] == 404


def test_a_view_that_breaks_gives_its_place_back_and_counts_as_an_error(client, trusting):
    status, _, answer = client.get("/broken")
    answer.close()
    figures = trusting.load.own(trusting.clock())
    assert (status, figures.in_flight) == (500, 0)
    assert figures.eps == figures.rps > 0


CACHE = "django.middleware.cache"
OURS = "meshware.inbound.django.MeshMiddleware"


@pytest.mark.parametrize(
    "order",
    [
        [f"{CACHE}.UpdateCacheMiddleware", OURS, f"{CACHE}.FetchFromCacheMiddleware"],
        [f"{CACHE}.UpdateCacheMiddleware", f"{CACHE}.FetchFromCacheMiddleware", OURS],
    ],
    ids=["update outside", "both outside"],
)
def test_pages_can_be_cached_outside_of_ours(client, order):
    cache.clear()
    finished = []
    request_finished.connect(count := lambda **_facts: finished.append(1))
    try:
        with override_settings(MIDDLEWARE=order):
            for _ in range(3):
                finished.clear()
                assert client.get("/cached?id=1")[:2] == (200, b"page")
                assert finished
    finally:
        request_finished.disconnect(count)
        cache.clear()
    assert len(seen["1"]) == 1  # the view was called once


def test_a_view_that_raises_is_djangos_to_answer(client):
    status, _, _ = client.get("/broken?id=1")
    assert status == 500
    assert seen["1"][0].phase is Phase.DONE


def test_a_caller_that_is_cancelled_ends_the_context():
    found = []

    async def view(request):
        found.append(current())
        await asyncio.sleep(60)

    async def main():
        task = asyncio.ensure_future(MeshMiddleware(view)(RequestFactory().get("/")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert found[0].phase is Phase.DONE


def test_a_middleware_below_that_raises_ends_the_context():
    found = []

    def view(request):
        found.append(current())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MeshMiddleware(view)(RequestFactory().get("/"))
    assert found[0].phase is Phase.DONE


def test_a_thousand_requests_at_once_do_not_mix_and_leave_nothing():
    before = [each for each in gc.get_objects() if type(each) is meshware.RequestContext]

    def ask(number):
        path = ["/plain", "/stream", "/plain-async"][number % 3]
        return Client().get(f"{path}?id={number}").getvalue()

    with ThreadPoolExecutor(32) as pool:
        bodies = list(pool.map(ask, range(1000)))
    assert all(json.loads(body)["id"] == str(number) for number, body in enumerate(bodies) if number % 3 != 1)
    contexts = [set(map(id, each)) for each in seen.values()]
    assert all(len(each) == 1 for each in contexts)
    assert len(set.union(*contexts)) == 1000
    seen.clear()
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is meshware.RequestContext and each not in before] == []


# Settings


def errors(**given):
    with override_settings(**given):
        return [(each.id, each.msg, each.hint) for each in run_checks(tags=["meshware"])]


def test_right_settings_pass_the_checks():
    assert run_checks(tags=["meshware"]) == []


@pytest.mark.parametrize("given", [None, 5, [], "shop.mesh"])
def test_settings_of_the_wrong_type_fail_the_check_with_an_id_and_a_hint(monkeypatch, given):
    monkeypatch.setattr(the_mesh, "_door", None)
    ((number, said, hint),) = errors(MESHWARE=given)
    assert number == "meshware.E001"
    assert repr(given) in said
    assert "endpoints" in hint


def test_every_wrong_setting_is_a_message_of_its_own(monkeypatch):
    monkeypatch.setattr(the_mesh, "_door", None)
    wrong = {"services": {"inventory": {"endpoints": ["127.0.0.1:x"], "timeuot": 1, "timeout": "2"}}}
    found = errors(MESHWARE=wrong)
    assert {number for number, _, _ in found} == {"meshware.E002"}
    said = {message.split(": ")[1]: hint for _, message, hint in found}
    assert said["services.inventory.timeuot"] == "Did you mean 'timeout'?"
    assert "Expected" in said["services.inventory.timeout"]
    assert len(found) == 3


def test_the_middleware_must_be_there_once():
    name = "meshware.inbound.django.MeshMiddleware"
    assert [number for number, _, _ in errors(MIDDLEWARE=[])] == ["meshware.W001"]
    assert [number for number, _, _ in errors(MIDDLEWARE=[name, name])] == ["meshware.W002"]


def test_the_mesh_follows_override_settings_and_comes_back():
    mesh = the_mesh.door().mesh
    with override_settings(MESHWARE={"services": {"pricing": {"endpoints": ["127.0.0.1:9"]}}}):
        assert list(mesh.services) == ["pricing"]
        assert current() is None
    assert list(mesh.services) == ["inventory"]


def test_wrong_settings_raise_and_the_old_stay_in_force():
    mesh = the_mesh.door().mesh
    with pytest.raises(meshware.SettingsError, match="servces"), override_settings(MESHWARE={"servces": {}}):
        raise AssertionError
    assert list(mesh.services) == ["inventory"]


# The command


def told(*arguments, code=0):
    out = StringIO()
    if code:
        with pytest.raises(CommandError) as failed:
            call_command("mesh", *arguments, stdout=out)
        return out.getvalue(), str(failed.value)
    call_command("mesh", *arguments, stdout=out)
    return out.getvalue(), ""


def test_the_command_checks_the_settings():
    assert "127.0.0.1:9" in told("check")[0]
    assert json.loads(told("check", "--json")[0])["services"]["inventory"] == {"127.0.0.1:9": {"weight": 1.0}}


def test_the_command_says_what_is_wrong(monkeypatch):
    monkeypatch.setattr(the_mesh, "_door", None)
    with override_settings(MESHWARE={"servces": {}}):
        said, error = told("check", "--json", code=1)
    assert "servces" in error
    assert json.loads(said)["ok"] is False


def test_the_command_connects_to_every_endpoint():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "{}:{}".format(*server.getsockname())
        services = {"inventory": {"endpoints": [address, "127.0.0.1:9"]}}
        with override_settings(MESHWARE={"services": services}):
            states = json.loads(told("status", "--json")[0])["services"]["inventory"]
    assert states[address]["ok"] is True
    assert states["127.0.0.1:9"]["ok"] is False
    assert "refused" in states["127.0.0.1:9"]["error"]


def test_the_command_fails_when_a_service_cannot_be_reached():
    said, error = told("status", code=1)
    assert "ok False" in said
    assert "no endpoint" in error


def test_the_command_does_not_count_what_a_discovery_would_find(monkeypatch):
    monkeypatch.setattr(plugins, "_registered", {})
    plugins.register(plugins.DISCOVERY, "zone", type("Zone", (), {"fetch": lambda self, now: None}))
    with override_settings(MESHWARE={"services": {"stock": {"discovery": "zone"}}}):
        assert json.loads(told("status", "--json")[0])["services"] == {"stock": {}}


def test_the_site_is_the_one_that_was_configured():
    assert site.settings.ROOT_URLCONF == "frameworks.django_site"
