"""The founding document's formulas, literally (`window` None, `select` "argmin"), against tables worked by hand.

Each table holds the traps of its sample code: the sums, in place of the means, name another endpoint; and one
endpoint is unmeasured, which is no zero and no best.
"""

from __future__ import annotations

from random import Random
from types import SimpleNamespace

import pytest

from meshware.core.call import Call
from meshware.core.outcome import Ending, LoadReport, Outcome
from meshware.core.request import Request
from meshware.mesh import Mesh
from meshware.settings.load import load

UNJUDGED = {"ejection": {"enabled": False}, "circuit": {"enabled": False}, "retry": {"attempts": 1}}


class Table:
    """Four endpoints of a mesh, whose calls go where the table says."""

    def __init__(self, strategy):
        endpoints = [f"10.0.0.{number}:80" for number in range(1, 5)]
        settings = load({"services": {"items": {"endpoints": endpoints, "strategy": strategy, **UNJUDGED}}})
        self.now = 1000.0
        self.service = Mesh(settings, rng=Random(1), clock=lambda: self.now).services["items"]
        self.service.refresh(self.now)

    def begin(self, number):
        """A call to endpoint `number`, which nobody has answered yet."""
        picker, endpoint = self.service.picker, self.service.endpoints[number - 1]
        self.service.picker = SimpleNamespace(pick=lambda call: endpoint)
        call = Call(self.service, Request("GET", "items", "/", {}))
        attempt = call.begin(self.now)
        self.service.picker = picker
        return call, attempt

    def end(self, begun, seconds=0.1, status=200, **facts):
        """Its answer, and the end of that."""
        call, attempt = begun
        self.now += seconds
        call.answered(attempt, Outcome(elapsed=seconds, status=status, **facts), self.now)
        call.ended(attempt, Ending.COMPLETE, seconds, self.now)
        self.service.settle(self.now)

    def ask(self, number, seconds=0.1, status=200, **facts):
        """One whole request."""
        self.end(self.begin(number), seconds, status, **facts)

    @property
    def scores(self):
        call = Call(self.service, Request("GET", "items", "/", {}))
        call.now = self.now
        return [self.service.learner.score(each, call) for each in self.service.endpoints]

    @property
    def picked(self):
        """The number of the endpoint that the next call goes to."""
        call = Call(self.service, Request("GET", "items", "/", {}))
        attempt = call.begin(self.now)
        call.abandon(attempt, self.now)
        return self.service.endpoints.index(attempt.endpoint) + 1


def literal(name, **options):
    return Table({name: {"window": None, "select": "argmin", **options}})


def test_response_time_is_the_mean_of_the_times():
    # endpoint | T (s)              | sum | m | R
    # 1        | 0.9                | 0.9 | 1 | 0.9     <- least sum
    # 2        | 0.2  0.4  0.3  0.3 | 1.2 | 4 | 0.3     <- least mean
    # 3        | 0.1  0.9           | 1.0 | 2 | 0.5     <- least single
    # 4        |                    |     | 0 | 3.1 / 7, the fleet's
    table = literal("response_time")
    for number, times in ((1, [0.9]), (2, [0.2, 0.4, 0.3, 0.3]), (3, [0.1, 0.9])):
        for seconds in times:
            table.ask(number, seconds)
    assert table.scores == pytest.approx([0.9, 0.3, 0.5, 3.1 / 7])
    assert table.picked == 2


def test_response_time_has_a_failure_at_its_penalty():
    # endpoint | T (s)                         | m | R
    # 1        | 0.001, failed: 5.0 of penalty | 1 | 5.0
    # 2        | 0.8                           | 1 | 0.8
    # 3        | 0.7  0.9                      | 2 | 0.8    a tie goes to the first
    # 4        |                               | 0 | 7.4 / 4
    table = literal("response_time")
    table.ask(1, 0.001, 500)
    for number, seconds in ((2, 0.8), (3, 0.7), (3, 0.9)):
        table.ask(number, seconds)
    assert table.scores == pytest.approx([5.0, 0.8, 0.8, 7.4 / 4])
    assert table.picked == 2


def test_response_time_counts_what_was_long_ago_as_what_was_just_now():
    # endpoint | T (s)                  | m | R
    # 1        | 0.1, an hour ago  0.5  | 2 | 0.3
    # 2        | 0.4                    | 1 | 0.4
    table = literal("response_time")
    table.ask(1, 0.1)
    table.now += 3600.0
    table.ask(1, 0.5)
    table.ask(2, 0.4)
    assert table.scores[:2] == pytest.approx([0.3, 0.4])
    assert table.picked == 1


def test_failure_rate_is_the_share_of_an_endpoints_own_requests():
    # endpoint | failures D | requests m | F
    # 1        | 1          | 2          | 0.5
    # 2        | 2          | 10         | 0.2     <- least rate, and the most failures
    # 3        | 1          | 4          | 0.25
    # 4        |            | 0          | 4 / 16, the fleet's
    table = literal("failure_rate")
    for number, failures, requests in ((1, 1, 2), (2, 2, 10), (3, 1, 4)):
        for turn in range(requests):
            table.ask(number, status=500 if turn < failures else 200)
    assert table.scores == pytest.approx([0.5, 0.2, 0.25, 0.25])
    assert table.picked == 2


def test_latency_is_the_mean_of_the_networks_part():
    # endpoint | connect + first byte - service time (s)               | m | D
    # 1        | 0.02 + 0.10 - 0.09 = 0.03                             | 1 | 0.03    <- least sum
    # 2        | 0.02 + 0.50 - 0.49 = 0.03    0.00 + 0.40 - 0.39 = 0.01 | 2 | 0.02    <- least mean, the slowest answers
    # 3        | 0.01 + 0.03 - 0 (no report) = 0.04                     | 1 | 0.04
    # 4        |                                                       | 0 | 0.11 / 4, the fleet's
    table = literal("latency")
    for number, connect, first_byte, service in (
        (1, 0.02, 0.10, 0.09),
        (2, 0.02, 0.50, 0.49),
        (2, None, 0.40, 0.39),
        (3, 0.01, 0.03, None),
    ):
        report = None if service is None else LoadReport(0.5, service_time=service)
        table.ask(number, 0.6, connect=connect, first_byte=first_byte, report=report)
    assert table.scores == pytest.approx([0.03, 0.02, 0.04, 0.11 / 4])
    assert table.picked == 2


def test_load_is_the_mean_of_what_was_in_flight():
    # endpoint | B, at each answer     | sum | m | L
    # 1        | 3  2  1  (all at once) | 6   | 3 | 2.0
    # 2        | 1  1  1  1  1          | 5   | 5 | 1.0    <- least mean
    # 3        | 2  1                   | 3   | 2 | 1.5    <- least sum
    # 4        |                        |     | 0 | 14 / 10, the fleet's
    table = literal("load")
    for number, together in ((1, 3), (2, 1), (2, 1), (2, 1), (2, 1), (2, 1), (3, 2)):
        for begun in [table.begin(number) for _ in range(together)]:
            table.end(begun)
    assert table.scores == pytest.approx([2.0, 1.0, 1.5, 1.4])
    assert table.picked == 2


def test_load_is_the_mean_of_what_is_reported_where_it_is():
    # endpoint | B                                 | m | L
    # 1        | 0.9  0.5                          | 2 | 0.7
    # 2        | 0.6                               | 1 | 0.6    <- least mean
    # 3        | 1 in flight, for want of a report | 1 | 1.0
    # 4        |                                   | 0 | 3.0 / 4, the fleet's
    table = literal("load")
    for number, report in ((1, LoadReport(0.9)), (1, LoadReport(0.5)), (2, LoadReport(0.6)), (3, None)):
        table.ask(number, report=report)
    table.ask(2, report=LoadReport(float("nan")))
    assert table.scores == pytest.approx([0.7, 0.6, 1.0, 0.75])
    assert table.picked == 2


def test_combined_multiplies_the_ratios_to_the_fleet():
    # weights 2 and 1: shares 2/3 and 1/3. R = (0.3 + 0.6 + 0.9 + 0.6) / 4 = 0.6, F = 1/4
    # endpoint | R_i / R | F_i | 1 + 300 max(0, F_i - F) | (R_i/R)^(2/3) * (...)^(1/3)
    # 1        | 0.5     | 0   | 1                       | 0.62996
    # 2        | 1.0     | 0   | 1                       | 1.0
    # 3        | 1.5     | 0   | 1                       | 1.31037
    # 4        | 1.0     | 1   | 1 + 300 * 0.75 = 226    | 6.09120
    table = literal("combined", response_time=2, failure_rate=1)
    table.service.penalty = 0.0
    for number, seconds, status in ((1, 0.3, 200), (2, 0.6, 200), (3, 0.9, 200), (4, 0.6, 500)):
        table.ask(number, seconds, status)
    assert table.scores == pytest.approx([0.62996, 1.0, 1.31037, 6.09120], rel=1e-5)
    assert table.picked == 1


def test_combined_by_sum_adds_the_same_ratios():
    # the same figures: 2/3 R_i/R + 1/3 (1 + 300 max(0, F_i - F))
    table = literal("combined", response_time=2, failure_rate=1, combine="sum")
    table.service.penalty = 0.0
    for number, seconds, status in ((1, 0.3, 200), (2, 0.6, 200), (3, 0.9, 200), (4, 0.6, 500)):
        table.ask(number, seconds, status)
    assert table.scores == pytest.approx([2 / 3, 1.0, 4 / 3, (2 + 226) / 3])
    assert table.picked == 1


def test_c3_is_the_papers_score():
    # R - 1/mu + q^3/mu, q = 1 + in flight * clients + reported queue, clients = 2; in use, at one moment
    # (two samples of the fleet's mean, R = 0.25, stand beside the endpoint's own one; 1/mu is 0.15 in the fleet)
    # endpoint | R_i                    | 1/mu | q         | score
    # 1        | (0.2 + 0.5) / 3 = 7/30 | 0.1  | 1 + 0 + 3 | 7/30 + 63 * 0.1
    # 2        | (0.3 + 0.5) / 3 = 8/30 | 0.2  | 1 + 2 + 0 | 8/30 + 26 * 0.2
    # 3, 4     | 0.25                   | 0.15 | 1         | 0.25    <- least, a tie goes to the first
    table = Table({"c3": {"clients": 2, "select": "argmin"}})
    for endpoint, seconds, report in zip(
        table.service.endpoints,
        (0.2, 0.3),
        (LoadReport(0.5, service_time=0.1, queue=3), LoadReport(0.5, service_time=0.2)),
        strict=False,
    ):
        endpoint.sample(seconds, False, Outcome(elapsed=seconds, status=200, report=report), table.now)
    table.begin(2)
    assert table.scores == pytest.approx([7 / 30 + 6.3, 8 / 30 + 5.2, 0.25, 0.25])
    assert table.picked == 3
