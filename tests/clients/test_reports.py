"""Load reports through real clients: asked for where a meter listens, read from any ORCA server, never trusted far."""

from __future__ import annotations

import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from meshware.balancing.meters import Latency
from meshware.balancing.meters_reported import Reported, ReportedReading
from meshware.mesh import Mesh

ORCA = "TEXT application_utilization=0.5, rps_fractional=20, eps=1, named_metrics.inflight=3, named_metrics.svc=0.25"


class Server:
    """Answers with these headers, whoever asks; `asked` keeps what each request said."""

    def __init__(self, **headers):
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.headers["x-meshware-report"])
                self.send_response(200)
                for name, value in {"content-length": "2", **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *args):
                """Nothing: the test's own output is what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def asked(client_of, strategy, *, calls=1, **headers):
    """So many calls to a server with these headers: its endpoint, and what it was asked."""
    with closing(Server(**headers)) as server:
        mesh = Mesh.from_settings({"services": {"inventory": {"endpoints": [server.address], "strategy": strategy}}})
        with closing(mesh):
            client = client_of(mesh)
            for _ in range(calls):
                assert client.get("http://inventory/").status_code == 200
            service = mesh.services["inventory"]
            service.settle(mesh.clock())
            return service.endpoints[0], server.asked


def reported(endpoint):
    readings = [each for each in endpoint.samplers if isinstance(each, ReportedReading)]
    return readings[0]._kept[0]


def test_a_report_is_read_by_every_client(client_of):
    endpoint, questions = asked(client_of, "utilization", calls=2, endpoint_load_metrics=ORCA)
    assert tuple(reported(endpoint)) == (0.5, 20.0, 1.0, 0.25, 3.0)
    assert questions == ["1", "1"]


def test_one_in_json_is_read(client_of):
    endpoint, _ = asked(client_of, "utilization", endpoint_load_metrics='JSON {"cpu_utilization": 0.5}')
    assert reported(endpoint).utilization == 0.5


def test_one_in_protobuf_is_read(client_of):
    endpoint, _ = asked(client_of, "utilization", endpoint_load_metrics_bin="SQAAAAAAAOA/")
    assert reported(endpoint).utilization == 0.5


@pytest.mark.row("F41")
@pytest.mark.parametrize("said", ["garbage", "TEXT application_utilization=nan", "TEXT " + "eps=1," * 2000])
def test_garbage_says_nothing(client_of, said):
    endpoint, _ = asked(client_of, "utilization", endpoint_load_metrics=said)
    assert reported(endpoint) is None


def test_nobody_is_asked_where_no_meter_listens(client_of):
    _, questions = asked(client_of, "round_robin", calls=2, endpoint_load_metrics=ORCA)
    assert questions == [None, None]


def test_the_default_strategy_asks_once_in_a_while(client_of):
    endpoint, questions = asked(client_of, "adaptive", calls=3, endpoint_load_metrics=ORCA)
    assert questions == ["1", None, None]
    (cost,) = endpoint.samplers
    assert cost._said is not None


def test_where_nobody_reports_the_default_strategy_knows_nothing_of_it(client_of):
    endpoint, _ = asked(client_of, "adaptive")
    (cost,) = endpoint.samplers
    assert cost._said is None


def test_server_timing_is_the_callees_own_time_where_there_is_no_report(client_of):
    endpoint, _ = asked(client_of, "latency", server_timing="total;dur=9000000")
    assert endpoint.readings[Latency(5.0)]._kept[0] < 1.0  # more than it took: not believed
    endpoint, _ = asked(client_of, "latency", server_timing="total;dur=0.001")
    assert 0 < endpoint.readings[Latency(5.0)]._kept[0] < 1.0


def test_equal_meters_ask_alike():
    assert Reported().reports == Latency().reports == 0.0
