"""The parts of the live bench that decide what is compared; that its figures are good is its own to show."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from functools import partial
from math import inf
from pathlib import Path

import pytest
from fleets import peers
from fleets.cell import CONTENDERS, Job, share_of
from fleets.figures import REFUSED, Called, Cell, summary
from fleets.fleet import Replica, field
from fleets.oracle import Slots, choice
from fleets.scenario import changes, state, table, work
from fleets.showing import markdown, picture
from fleets.verdicts import Results, verdicts
from fleets.wire import Broken, Client, Unsent

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
REPLICAS = [("127.0.0.1", 14_001), ("127.0.0.1", 14_002)]


# The scenarios


def test_the_table_has_twenty_scenarios_and_each_begins_to_count_before_it_ends():
    scenarios = table()
    assert len(scenarios) == 20
    assert all(each.begin < each.duration and each.about for each in scenarios.values())
    assert [each.processes for name, each in scenarios.items() if name.startswith("workers8_")] == [8] * 4


def test_a_crash_is_followed_by_a_cold_time():
    crash = table()["crash_return"]
    assert changes(crash) == [3.0, 6.0, 7.5]
    assert state(crash, 0, 3.0).refusing
    assert not state(crash, 1, 3.0).refusing
    assert state(crash, 0, 6.0).slower == 3.0
    assert state(crash, 0, 7.5).healthy


def test_a_scenario_that_is_squeezed_has_all_its_times_shorter():
    short = table()["burst_90"].lasting(5.0)
    assert (short.duration, short.begin, short.bursts.every, short.bursts.lasts) == (5.0, 1.0, 1.0, 0.25)
    fault = table()["blackhole"].lasting(5.0).faults[0]
    assert (fault.at, fault.lasts) == (1.5, 2.0)


def test_the_oracle_knows_what_a_request_is_expected_to_take():
    gray = table()["gray_replica"]
    assert work(gray, 1, 5.0) == 0.03
    assert work(gray, 0, 5.0) == pytest.approx(0.95 * 0.03 + 0.05)
    assert work(table()["blackhole"], 0, 4.0) == inf


# The load


def test_eight_processes_send_together_what_one_sends_alone():
    scenarios = table()
    alone = share_of(Job(scenarios["hetero_124"], "meshware", 3), 0, 1)
    eight = [share_of(Job(scenarios["workers8_hetero_124"], "HAProxy", 3), turn, 8) for turn in range(8)]
    work = [[(number, each.at, each.work) for number, each in calls] for calls in (alone, *eight)]
    assert sorted(call for each in work[1:] for call in each) == work[0]
    assert max(map(len, eight)) - min(map(len, eight)) <= 1


def test_another_seed_is_another_load():
    healthy = table()["healthy_70"]
    assert share_of(Job(healthy, "oracle", 1), 0, 1) != share_of(Job(healthy, "oracle", 2), 0, 1)


def test_a_proxy_may_write_a_header_as_it_likes():
    assert field(b"get / http/1.1\r\nhost: fleet\r\nx-work:0.02 \r\n\r\n", b"x-work") == b"0.02"


# The fleet


class Late:
    """A loop whose timers ring when the test says so."""

    def __init__(self):
        self.now, self.timers = 0.0, []

    def time(self):
        return self.now

    def call_at(self, when, callback, *arguments):
        self.timers.append((when, partial(callback, *arguments)))

    def ring(self, now):
        self.now = now
        self.timers.pop(0)[1]()


class Caller:
    """Who waits for an answer."""

    def __init__(self):
        self.said = []

    def answer(self, said):
        self.said.append(said)


@pytest.mark.parametrize(("arrives", "done"), [(0.01, 0.06), (0.04, 0.07)])
def test_a_late_timer_takes_nothing_off_what_a_replica_can_do(monkeypatch, arrives, done):
    loop, caller = Late(), Caller()
    monkeypatch.setattr("fleets.fleet.asyncio.get_running_loop", lambda: loop)
    replica = Replica(0, 14_001, Counter(), slots=1, speed=1.0)
    for number, loop.now in enumerate((0.0, arrives)):
        replica.arrive(b"get / http/1.1\r\nx-number: %d\r\nx-draw: 0.5\r\nx-work: 0.03\r\n\r\n" % number, caller)

    loop.ring(0.05)  # it was due at 0.03

    assert len(caller.said) == 1
    assert loop.timers[0][0] == pytest.approx(done)
    assert replica.late == [pytest.approx(0.02)]


# The oracle


@pytest.mark.parametrize(
    "fleet, waiting, chosen",
    [
        ([Slots(0, 4, 0.03), Slots(1, 4, 0.03)], 1, 1),
        ([Slots(1, 4, 0.03), Slots(1, 4, 0.015)], 1, 1),
        ([Slots(0, 4, 0.03), Slots(0, 4, 0.03)], 5, None),
        ([Slots(4, 4, inf), Slots(0, 4, 0.03)], 5, None),
        ([Slots(4, 4, 0.3), Slots(0, 4, 0.03)], 1, None),
        ([Slots(4, 4, 0.3), Slots(0, 4, 0.03)], 40, 0),
    ],
    ids=[
        "a free slot",
        "the faster",
        "none is free",
        "never a broken one",
        "a slow one is left",
        "not by a long queue",
    ],
)
def test_the_oracle_gives_the_head_of_its_queue(fleet, waiting, chosen):
    assert choice(fleet, waiting) == chosen


# The client


def test_connections_are_kept_and_a_broken_one_is_told():
    async def serve(reader, writer):
        ports.add(writer.get_extra_info("peername")[1])
        for answer in (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}", b"HTTP/1.1 503 No\r\ncon"):
            if answer != b"{}":
                await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address, client = server.sockets[0].getsockname(), Client()
        assert (await client.get(address, {"x-work": "1"})).status == 200
        with pytest.raises(Broken):
            await client.get(address, {})
        server.close()
        await server.wait_closed()
        with pytest.raises(Unsent) as told:
            await client.get(address, {})
        assert told.value.refused
        client.close()

    ports = set()
    asyncio.run(main())
    assert len(ports) == 1


# The peers


def test_only_the_careful_envoy_retries_and_ejects():
    careful, plain = (peers.envoy(14_000, REPLICAS, careful=each) for each in (True, False))
    ways = [each["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0] for each in (careful, plain)]
    routes = [each["typed_config"]["route_config"]["virtual_hosts"][0]["routes"][0]["route"] for each in ways]
    assert ["retry_policy" in each for each in routes] == [True, False]
    assert ["outlier_detection" in each["static_resources"]["clusters"][0] for each in (careful, plain)] == [
        True,
        False,
    ]


@pytest.mark.parametrize("name", peers.PEERS)
def test_a_proxy_finds_nothing_wrong_with_its_settings(name, tmp_path):
    peer = peers.PEERS[name]
    binary = peers.found(peer.program)
    if binary is None:
        pytest.skip(f"{peer.program} is not installed")
    config = tmp_path / "config"
    config.write_text(peer.config(14_000, REPLICAS, tmp_path))
    check = {"envoy": ["--mode", "validate", "-c"], "haproxy": ["-c", "-f"], "nginx": ["-t", "-c"]}[peer.program]
    ran = subprocess.run([binary, *check, str(config)], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


# The figures


def test_a_lost_call_counts_as_the_deadline_and_what_came_before_the_beginning_not_at_all():
    healthy = table()["healthy_70"]
    calls = [Called(1.0, 9.0, 200, 0.0), *(Called(3.0, 0.1, 200, 0.001) for _ in range(96))]
    calls += [Called(3.0, 0.3, 200, 0.0), Called(3.0, 0.001, 503, 0.0), Called(3.0, 0.0, REFUSED, 0.0)]
    calls += [Called(3.0, 3.05, None, 0.0)]
    cell = summary(healthy, calls, asked=[75, 25], late=[0.002], cpu=0.2)
    assert (cell.calls, cell.errors, cell.refused) == (100, 2, 1)
    assert (cell.p50, cell.p99) == (0.1, 3.0)
    assert (cell.goodput, cell.shares, cell.tries) == (0.96, [0.75, 0.25], 1.0)


def cell(p99, *, errors=0, refused=0, goodput=1.0):
    return Cell(1000, p99 / 2, p99, 2 * p99, errors, refused, goodput, [0.5, 0.5], 1.0, 0.2, 0.001)


def results(mesh, peer=lambda seed: cell(0.2), oracle=lambda seed: cell(0.1), scenario="healthy_70"):
    made = {"oracle": oracle, "meshware": mesh, "nginx": peer}
    return Results({(scenario, name, seed): each(seed) for name, each in made.items() for seed in range(1, 6)})


def held(found):
    return {each.name.split(",")[0]: each.held for each in verdicts(found)}


def test_what_is_near_the_oracle_and_under_the_proxies_holds():
    found = held(results(lambda seed: cell(0.1 + 0.001 * seed)))
    assert found["errors"]
    assert found["p99 over the oracle's"]
    assert found["p99 over that of nginx"]
    assert found["worse than the best of the proxies there"]


def test_a_mean_holds_only_when_its_upper_bound_does():
    assert not held(results(lambda seed: cell(0.09 if seed < 4 else 0.17)))["p99 over the oracle's"]


def test_a_single_cell_is_worse_only_when_its_lower_bound_is():
    assert held(results(lambda seed: cell(0.21 if seed < 4 else 0.3)))["worse than the best of the proxies there"]
    assert not held(results(lambda seed: cell(0.3)))["worse than the best of the proxies there"]


def test_a_refusal_is_an_error_unless_the_oracle_itself_is_late():
    assert not held(results(lambda seed: cell(0.1, refused=1)))["errors"]
    hard = results(lambda seed: cell(0.1, refused=1, goodput=0.895), oracle=lambda seed: cell(0.1, goodput=0.9))
    assert held(hard)["errors"]
    assert held(hard)["goodput in healthy_70"]


def test_eight_processes_are_compared_with_one_seed_by_seed():
    cells = {(name, "meshware", seed): cell(0.1 * seed * factor)
             for name, factor in (("hetero_124", 1.0), ("workers8_hetero_124", 1.04)) for seed in (1, 2)}  # fmt: skip
    over = Results(cells).processes("meshware")
    assert over.ratio == pytest.approx(1.04)
    assert over.high == pytest.approx(1.04)


def test_the_results_are_told_in_words_and_in_a_picture(tmp_path):
    found = results(lambda seed: cell(0.12))
    said = markdown(found, ["a note"])
    assert "| healthy_70 | 100 | 1.20 | 2.00 |" in said
    assert "a note" in said
    picture(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000


# All of it


def test_cells_are_run_and_not_run_again(tmp_path):
    def live():
        command = [sys.executable, str(BENCHMARKS / "live.py"), "--json", str(file), "--resume", "--seeds", "1"]
        command += ["--seconds", "1", "--scenario", "workers8_slow_replica", "--contender", "meshware"]
        ran = subprocess.run([*command, "--contender", "p2c by hand"], capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    file = tmp_path / "live.json"
    assert "3 of 3 cells to run" in live()
    cells = json.loads(file.read_text())["cells"]
    assert {key.split("/")[1] for key in cells} == {"oracle", "meshware", "p2c by hand"}
    assert len({each["calls"] for each in cells.values()}) == 1
    assert all(len(each["shares"]) == 8 for each in cells.values())
    assert "0 of 3 cells to run" in live()


def test_every_contender_has_a_name_of_its_own_in_the_table():
    assert {"oracle", "meshware", "meshware, no board", *peers.PEERS} < set(CONTENDERS)
