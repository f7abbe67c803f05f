"""Overload under a real gunicorn: places, queues in front and rates, as its threads hand them over."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from frameworks.test_flask_gunicorn import STARTUP, gunicorn

APP = """
import time

from flask import Flask, jsonify, request

from meshware import remaining
from meshware.context import current
from meshware.inbound.flask import Meshware

app = Flask(__name__)
app.config["MESHWARE"] = {
    "trusted_peers": ["127.0.0.0/8"],
    "request_timeout": 30.0,
    "inbound": {
        "limit": 2,
        "queue": {"enabled": True},
        "exempt": ["/healthz"],
        "rate_limits": [{"rate": 0.001, "burst": 3, "prefix": "/rated"}],
    },
}
Meshware(app)
after = []


@app.get("/slow")
def slow():
    time.sleep(1.0)
    return "slow"


@app.get("/healthz")
@app.get("/rated")
@app.get("/")
def index():
    return "hello"


@app.get("/background")
def background():
    answer = app.make_response("hello")
    answer.call_on_close(lambda: after.append([current().phase.value, remaining(), current().spend()]))
    return answer


@app.get("/after")
def told():
    return jsonify(after)
"""


@pytest.fixture
def shop(tmp_path, request):
    (tmp_path / "shop.py").write_text(APP.replace('"limit": 2', f'"limit": {getattr(request, "param", 2)}'))
    with gunicorn(tmp_path, "--workers", "1", "--threads", "8") as (port, output):
        yield port
    assert "Traceback" not in output.read_text()


def get(port, path="/", **headers):
    """Status, headers and body."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=STARTUP)) as connection:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()


def calmly(port, count):
    """The status of so many, one after another: a place is given back when the answer has gone out, and who reads that
    may be sooner."""
    found = []
    for _ in range(count):
        time.sleep(0.3)
        found.append(get(port)[0])
    return found


def test_what_is_too_much_is_refused_by_its_reason_and_places_come_back(shop):
    assert get(shop)[0] == 200
    with ThreadPoolExecutor(8) as pool:
        slow = list(pool.map(lambda _: get(shop, "/slow"), range(8)))
        time.sleep(0.5)
        while_busy = [pool.submit(get, shop, "/slow") for _ in range(2)]
        time.sleep(0.3)
        health = get(shop, "/healthz")
        assert [each.result()[0] for each in while_busy] == [200, 200]
    assert sorted({status for status, _, _ in slow}) == [200, 503]
    refused = next(headers for status, headers, _ in slow if status == 503)
    assert refused["x-meshware-refused"] == "limit"
    assert refused["retry-after"] in ("1", "2")
    assert health[0] == 200
    assert calmly(shop, 5) == [200] * 5


@pytest.mark.parametrize("shop", [100], indirect=True)
def test_a_proxy_in_front_says_how_long_requests_wait(shop):
    def refused(seconds):
        return get(shop, X_Request_Start=f"t={time.time() - seconds:.3f}")[1].get("x-meshware-refused")

    assert calmly(shop, 1) == [200]  # this one has waited for the app to be imported
    assert refused(0.0) is None
    reasons, until = set(), time.monotonic() + STARTUP
    with ThreadPoolExecutor(8) as pool:  # at once: on a busy machine those one after another are too far apart
        while "queue" not in reasons and time.monotonic() < until:
            reasons |= set(pool.map(refused, [2.0] * 8))
    assert reasons == {None, "queue"}
    assert calmly(shop, 3) == [200] * 3


def test_a_caller_over_his_rate_is_answered_429(shop):
    assert [get(shop, "/rated")[0] for _ in range(4)] == [200, 200, 200, 429]
    assert get(shop, "/rated", X_Meshware_Caller="office")[0] == 200


def test_what_runs_after_the_answer_has_no_deadline_and_an_allowance_of_its_own(shop):
    assert get(shop, "/background", grpc_timeout="20S")[0] == 200
    until = time.monotonic() + STARTUP
    while (told := get(shop, "/after")[2].strip()) == "[]" and time.monotonic() < until:
        time.sleep(0.05)
    assert told == '[["responded",null,true]]'
