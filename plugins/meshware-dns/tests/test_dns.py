"""Records to endpoints, asked of a real nameserver; and the discovery under a mesh."""

from __future__ import annotations

import importlib.util
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from meshware_dns import Dns, _nameserver

from meshware import Mesh, SettingsError
from meshware.core.errors import NoEndpoint
from meshware.core.request import Request
from meshware.settings.load import load
from meshware.testing import check_discovery

_spec = importlib.util.spec_from_file_location("nameserver", Path(__file__).parent / "nameserver.py")
nameservers = importlib.util.module_from_spec(_spec)
sys.modules["nameserver"] = nameservers
_spec.loader.exec_module(nameservers)


@pytest.fixture
def server():
    made = nameservers.Nameserver()
    yield made
    made.stop()


@pytest.fixture
def found(server):
    """`found(name="shop.test", port=80)`: what a fetch gives."""

    def fetch(**options):
        return Dns(nameservers=[server.address], timeout=0.5, **options).fetch(0.0)

    return fetch


def test_it_is_fit_for_use(server):
    server.zone["shop.test", "A"] = (40, ["192.0.2.1", "192.0.2.2"])
    server.zone["_http._tcp.shop.test", "SRV"] = (60, ["0 30 8001 shop.test.", "1 0 8002 shop.test."])
    check_discovery(lambda: Dns(name="shop.test", port=80, nameservers=[server.address]))
    check_discovery(lambda: Dns(name="_http._tcp.shop.test", nameservers=[server.address]))


def addresses(endpoints):
    return [each["address"] for each in endpoints.found]


def test_every_address_of_a_name_is_an_endpoint_for_as_long_as_its_ttl(server, found):
    server.zone["shop.test", "A"] = (40, ["192.0.2.1", "192.0.2.2"])
    server.zone["shop.test", "AAAA"] = (20, ["2001:db8::1"])
    endpoints = found(name="shop.test", port=8000)
    assert sorted(addresses(endpoints)) == ["192.0.2.1:8000", "192.0.2.2:8000", "[2001:db8::1]:8000"]
    assert endpoints.valid_for == 20


@pytest.mark.parametrize(("family", "kind"), [(4, "A"), (6, "AAAA")])
def test_one_family_alone(server, found, family, kind):
    server.zone["shop.test", "A"] = (40, ["192.0.2.1"])
    server.zone["shop.test", "AAAA"] = (40, ["2001:db8::1"])
    assert len(found(name="shop.test", port=80, family=family).found) == 1
    assert {each[1] for each in server.asked} == {kind}


def test_the_ttl_of_an_alias_counts_too(server, found):
    server.zone["shop.test", "CNAME"] = (5, ["real.test."])
    server.zone["real.test", "A"] = (300, ["192.0.2.1"])
    assert found(name="shop.test", port=80).valid_for == 5


def test_a_ttl_of_0_is_a_second(server, found):
    server.zone["shop.test", "A"] = (0, ["192.0.2.1"])
    assert found(name="shop.test", port=80).valid_for == 1


def test_srv_records_give_port_and_weight(server, found):
    server.zone["_http._tcp.shop.test", "SRV"] = (60, ["0 30 8001 a.test.", "0 10 8002 b.test."])
    server.zone["a.test", "A"] = (60, ["192.0.2.1"])
    server.zone["b.test", "A"] = (60, ["192.0.2.2", "192.0.2.3"])
    endpoints = found(name="_http._tcp.shop.test")
    assert {each["address"]: each["weight"] for each in endpoints.found} == {
        "192.0.2.1:8001": 30.0,
        "192.0.2.2:8002": 10.0,
        "192.0.2.3:8002": 10.0,
    }


def test_only_the_lowest_priority_takes_calls_and_the_rest_is_kept(server, found):
    server.zone["shop.test", "SRV"] = (60, ["20 5 80 spare.test.", "10 5 80 main.test.", "30 5 80 main.test."])
    server.zone["main.test", "A"] = (60, ["192.0.2.1"])
    server.zone["spare.test", "A"] = (60, ["192.0.2.2"])
    facts = {each["address"]: (each["priority"], each["weight"]) for each in found(name="shop.test").found}
    assert facts == {"192.0.2.1:80": (10, 5.0), "192.0.2.2:80": (20, 0.0)}


@pytest.mark.parametrize(("weights", "expected"), [([0, 0], [1.0, 1.0]), ([0, 9], [0.1, 9.0])], ids=["all 0", "one 0"])
def test_a_weight_of_0_is_a_small_chance_and_all_0_are_equal(server, found, weights, expected):
    server.zone["shop.test", "SRV"] = (60, [f"0 {weight} 80 {n}.test." for n, weight in enumerate(weights)])
    for number in range(len(weights)):
        server.zone[f"{number}.test", "A"] = (60, [f"192.0.2.{number}"])
    facts = {each["address"]: each["weight"] for each in found(name="shop.test").found}
    assert [facts[address] for address in sorted(facts)] == expected


def test_a_service_that_is_decidedly_not_there_is_empty(server, found):
    server.zone["shop.test", "SRV"] = (60, ["0 0 0 ."])
    assert found(name="shop.test").found == []


@pytest.mark.parametrize("there", [False, True])
def test_a_name_without_records_is_an_empty_answer(server, found, there):
    if there:
        server.zone["shop.test", "TXT"] = (60, ["nothing"])
    assert found(name="shop.test", port=80).found == []
    assert found(name="shop.test").found == []


def test_what_is_too_long_for_udp_is_asked_for_by_tcp(server, found):
    server.zone["shop.test", "A"] = (60, [f"192.0.2.{number}" for number in range(1, 200)])
    server.trouble = "truncated"
    assert len(found(name="shop.test", port=80, family=4).found) == 199
    assert [each[2] for each in server.asked] == ["udp", "tcp"]


@pytest.mark.parametrize("trouble", ["servfail", "silent"])
def test_a_server_that_fails_or_says_nothing_is_a_failure_in_time(server, found, trouble):
    server.zone["shop.test", "A"] = (60, ["192.0.2.1"])
    server.trouble = trouble
    began = time.monotonic()
    with pytest.raises(OSError, match=r"shop\.test"):
        found(name="shop.test", port=80)
    assert time.monotonic() - began < 5


def test_a_second_nameserver_stands_in_for_the_first(server):
    server.zone["shop.test", "A"] = (60, ["192.0.2.1"])
    servers = [f"127.0.0.1:{nameservers.free_port()}", server.address]
    assert addresses(Dns(name="shop.test", port=80, nameservers=servers, timeout=4).fetch(0.0)) == ["192.0.2.1:80"]


def test_without_nameservers_the_systems_are_asked():
    resolver = Dns(name="shop.test", port=80)._resolver()
    assert resolver.nameservers
    assert resolver.use_search_by_default


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [("192.0.2.1", "192.0.2.1", 53), ("192.0.2.1:54", "192.0.2.1", 54), ("::1", "::1", 53), ("[::1]:54", "::1", 54)],
)
def test_nameservers_are_addresses(text, address, port):
    made = _nameserver(text)
    assert (made.address, made.port) == (address, port)


@pytest.mark.parametrize(
    "option",
    [{"port": 0}, {"port": True}, {"name": "."}, {"family": 5}, {"timeout": 0}, {"nameservers": ["ns.test"]}],
    ids=str,
)
def test_a_wrong_setting_is_refused_with_its_path(option):
    settings = {"services": {"shop": {"discovery": {"dns": {"name": "shop.test", "port": 80} | option}}}}
    with pytest.raises(SettingsError, match=rf"services\.shop\.discovery.*{next(iter(option))}"):
        load(settings)


# Under a mesh


class Ok(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *facts):
        pass


@pytest.fixture
def http():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Ok)
    threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True).start()
    yield made.server_port
    made.shutdown()
    made.server_close()


def mesh_of(server, **options):
    discovery = {"dns": {"nameservers": [server.address], "timeout": 0.5, "family": 4, **options}}
    return Mesh.from_settings({"services": {"shop": {"discovery": discovery, "timeout": 5.0}}})


def first(mesh):
    """Where the first call goes; it waits for DNS."""
    from meshware.core.outcome import Outcome
    from meshware.outbound.drive import drive

    service = mesh.services["shop"]
    call = mesh.call(service, Request("GET", "shop", "/", {}))
    won = drive(call, lambda attempt: Outcome(elapsed=0.001, status=200), lambda attempt: None)
    call.leave(won, time.monotonic())
    return won.endpoint.address


def test_the_first_call_waits_for_dns_and_goes_where_it_says(server, http):
    server.zone["shop.test", "A"] = (60, ["127.0.0.1"])
    mesh = mesh_of(server, name="shop.test", port=http)
    assert first(mesh) == f"127.0.0.1:{http}"
    mesh.close()


def test_while_dns_fails_the_last_answer_stays_and_a_new_one_is_taken(server):
    server.zone["shop.test", "A"] = (1, ["127.0.0.1"])
    mesh = mesh_of(server, name="shop.test", port=9)
    assert first(mesh) == "127.0.0.1:9"
    server.trouble = "servfail"
    asked, until = len(server.asked), time.monotonic() + 20
    while len(server.asked) < asked + 2 and time.monotonic() < until:
        time.sleep(0.02)
    assert first(mesh) == "127.0.0.1:9"
    server.zone["shop.test", "A"] = (1, ["127.0.0.2"])
    server.trouble = ""
    while "127.0.0.2:9" not in mesh.status()["shop"] and time.monotonic() < until:
        time.sleep(0.02)
    assert list(mesh.status()["shop"]) == ["127.0.0.2:9"]
    mesh.close()


def test_a_name_that_is_not_there_is_no_endpoint(server):
    mesh = mesh_of(server, name="gone.test", port=9)
    with pytest.raises(NoEndpoint):
        first(mesh)
    mesh.close()
