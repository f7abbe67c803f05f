"""Every header that we read, with its rule: from whom, in what grammar, and what it may do at most."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from meshware.core.criticality import Criticality
from meshware.core.fault import Fault, Ordered
from meshware.security.trust import (
    ATTEMPT,
    CALLER,
    CRITICALITY,
    ENVOY_TIMEOUT,
    FAULT_DELAY_CAP,
    GRPC_TIMEOUT,
    KNOWN,
    LOAD,
    LOAD_BINARY,
    PUSHBACK,
    QUEUE_START,
    REFUSED,
    REPORT,
    REQUEST,
    REQUEST_START,
    RETRIED,
    RETRY_AFTER,
    RULES,
    SERVER_TIMING,
    TIMEOUT,
    Inbound,
    TrustedPeers,
    envoy_timeout,
    fault_order,
    grpc_timeout,
    read_headers,
    retry_after,
    seconds,
    started,
)


def read(headers, *, trusted=False, maximum=None):
    return read_headers(headers, trusted=trusted, maximum=maximum)


def test_these_are_the_headers():
    answers = {LOAD, LOAD_BINARY, SERVER_TIMING, RETRIED, REFUSED, RETRY_AFTER, PUSHBACK, "content-type"}
    answers |= {"content-encoding", "grpc-status"}
    kept = {"cache-control", "vary", "set-cookie", "authorization", "cookie", "range"}
    assert set(RULES) == {*REQUEST} | answers | kept
    assert len(REQUEST) == 10


# The deadline: from anybody, since it can only shorten

WRONG = [
    "", " ", "-1", "+1", "nan", "NaN", "inf", "Infinity", "1e308", "1e3", "1_0", "0x10", "\u0661\u0660", "\uff11\uff10",
    "1.", ".5", "1.5.2",
    "1,5", " 1", "1 ", "1\n", "1s", "9" * 10, "1." + "0" * 10, "1" * (1 << 20), "\x00", "1\x00",
]  # fmt: skip


@pytest.mark.row("F51")
@pytest.mark.parametrize("value", WRONG, ids=lambda each: repr(each[:12]))
def test_a_deadline_in_any_other_form_says_nothing(value):
    assert seconds(value) is None
    assert read({TIMEOUT: [value]}).timeout is None
    assert read({TIMEOUT: [value]}, maximum=2.0).timeout == 2.0


def test_a_repeated_deadline_says_nothing():
    assert read({TIMEOUT: ["1", "1"]}, maximum=2.0).timeout == 2.0


@pytest.mark.parametrize(("value", "timeout"), [("1", 1.0), ("0.25", 0.25), ("000.5", 0.5), ("0", 0.0), ("0.000", 0.0)])
def test_a_deadline_in_seconds_is_taken_and_zero_has_passed(value, timeout):
    assert read({TIMEOUT: [value]}).timeout == timeout


@pytest.mark.row("F51", "F52")
@given(some.lists(some.text(max_size=40), max_size=3), some.floats(0.001, 1000))
def test_nothing_raises_and_nothing_lengthens_the_maximum(values, maximum):
    timeout = read({TIMEOUT: values}, maximum=maximum).timeout
    assert 0 <= timeout <= maximum


def test_without_a_header_the_maximum_holds_and_without_both_there_is_none():
    assert read({}, maximum=2.0).timeout == 2.0
    assert read({}).timeout is None


# The attempt's number: from trusted peers


def test_an_attempt_is_believed_of_trusted_peers_only():
    assert read({ATTEMPT: ["2"]}, trusted=True) == Inbound(None, 2)
    assert read({ATTEMPT: ["2"]}) == Inbound(None, 1)


@pytest.mark.parametrize("value", ["0", "-1", "100", "1e9", "x", ""])
def test_an_attempt_out_of_bounds_is_the_first(value):
    assert read({ATTEMPT: [value]}, trusted=True).attempt == 1


# The request for a load report: from trusted peers (what may be in the report: test_orca.py)


def test_a_load_report_is_for_trusted_peers_who_ask():
    assert read({REPORT: ["1"]}, trusted=True).asked
    assert not read({REPORT: ["1"]}).asked
    assert not read({}, trusted=True).asked


@pytest.mark.parametrize("values", [["0"], ["true"], ["1", "1"], [""], ["1 "], ["\uff11"], ["1" * 5000]], ids=ascii)
def test_anything_else_asks_for_nothing(values):
    assert not read({REPORT: values}, trusted=True).asked


# A fault that is asked for: from trusted peers where the settings allow it (who may: tests/inbound)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("inventory;abort=503", Fault(abort=503)),
        ("inventory;abort=404;percentage=50", Fault(abort=404, share=0.5)),
        ("inventory;delay=0.25;percentage=0", Fault(delay=0.25, share=0.0)),
        ("inventory;delay=99999", Fault(delay=FAULT_DELAY_CAP)),
        ("inventory;reset;percentage=100", Fault(reset=True)),
        ("inventory;body=10", Fault(partial_body=10)),
    ],
)
def test_a_fault_is_read_and_its_delay_capped(value, fault):
    assert fault_order([value]) == Ordered("inventory", fault)


def test_a_fault_may_be_for_a_name_with_a_port():
    assert fault_order(["billing.internal:8443;reset"]).service == "billing.internal:8443"


NO_FAULTS = [
    "", "inventory", "inventory;", "inventory;abort=200", "inventory;abort=5033", "inventory;delay=-1", ";reset",
    "inventory;delay=nan", "inventory;delay=1e3", "inventory;delay=", "inventory;reset=1", " inventory;reset",
    "Inventory;reset", "inventory;reset;percentage=101", "inventory;reset;percentage=1.5", "inventory;reset\n",
    "inventory;abort=503;delay=1", "inventory;delay=\u0661", "a" * 500 + ";reset", "-;reset", "inventory;body=99999999",
]  # fmt: skip


@pytest.mark.parametrize("values", [[], ["inventory;reset"] * 2, *([each] for each in NO_FAULTS)], ids=ascii)
def test_a_fault_in_any_other_form_says_nothing(values):
    assert fault_order(values) is None


@given(some.lists(some.text(max_size=60), max_size=2))
def test_no_wish_for_a_fault_raises(values):
    fault_order(values)


# Retry-After: of what we called


@pytest.mark.row("F20")
@pytest.mark.parametrize(
    ("text", "wait"),
    [
        (None, None),
        ("3", 3.0),
        ("0", 0.0),
        ("10", 10.0),
        ("86400", 10.0),
        ("999999999", 10.0),
        ("9999999999", None),
        ("1.5", None),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("٣", None),
        ("", None),
    ],
)
def test_retry_after_is_whole_seconds_and_capped(text, wait):
    assert retry_after(text) == wait


# Peers


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::1", True),
        ("fe80::1%eth0", False),
        ("", False),
        ("unix:", False),
        ("10.1.2.3, 1.1.1.1", False),
        ("10.1.2.3" + " " * 100_000, False),
    ],
)
def test_a_peer_is_trusted_by_its_network(address, trusted):
    assert TrustedPeers(["10.0.0.0/8", "fd00::/8"])(address) is trusted


def test_nobody_is_trusted_unless_named():
    assert not TrustedPeers()("127.0.0.1")


def test_of_many_peers_only_the_last_are_kept():
    peers = TrustedPeers(["10.0.0.0/8"])
    assert all(peers(f"10.{number // 250}.{number % 250}.1") for number in range(5000))
    assert peers._known.cache_info().currsize == KNOWN


def test_it_is_known_whether_anybody_is_trusted():
    assert TrustedPeers(["10.0.0.0/8"])
    assert not TrustedPeers()


# Deadlines as gRPC and Envoy say them


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1H", 3600.0),
        ("2M", 120.0),
        ("3S", 3.0),
        ("500m", 0.5),
        ("250u", 0.00025),
        ("1n", 1e-9),
        ("99999999S", 99999999.0),
    ],
)
def test_a_grpc_timeout_is_digits_and_a_unit(text, seconds):
    assert grpc_timeout(text) == pytest.approx(seconds)
    assert read({GRPC_TIMEOUT: [text]}).timeout == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    ["", "S", "1", "0S", "00000000m", "1s", "1h", "-1S", "+1S", "1.5S", "1 S", " 1S", "1S ", "1S\n", "1SS", "nanS",
     "infS", "1_0S", "1e3S", "0x1S", "\u0661S", "\uff11S", "123456789S", "1" * (1 << 20) + "S", "1\x00S"],
    ids=lambda each: repr(each[:12]),
)  # fmt: skip
def test_a_grpc_timeout_in_any_other_form_says_nothing(text):
    assert grpc_timeout(text) is None
    assert read({GRPC_TIMEOUT: [text]}, maximum=2.0).timeout == 2.0


def test_envoys_timeout_is_whole_milliseconds():
    assert envoy_timeout("1500") == 1.5
    assert read({ENVOY_TIMEOUT: ["250"]}).timeout == 0.25


@pytest.mark.parametrize("text", [*WRONG, "0", "000", "1.0"], ids=lambda each: repr(each[:12]))
def test_envoys_timeout_in_any_other_form_says_nothing(text):
    assert envoy_timeout(text) is None


def test_the_least_of_the_three_holds_and_they_never_lengthen():
    said = {TIMEOUT: ["3"], GRPC_TIMEOUT: ["2S"], ENVOY_TIMEOUT: ["1000"]}
    assert read(said).timeout == 1.0
    assert read(said | {ENVOY_TIMEOUT: ["9000"]}).timeout == 2.0
    assert read(said | {TIMEOUT: ["0.5"]}).timeout == 0.5
    assert read(said, maximum=0.1).timeout == 0.1
    assert read(said | {ENVOY_TIMEOUT: ["1", "1"]}).timeout == 2.0


# What trusted peers say of a request


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("t=1512379167.574", 1512379167.574),
        ("1512379167.574", 1512379167.574),
        ("1512379167", 1512379167.0),
        ("1512379167574", 1512379167.574),
        ("t=1512379167574", 1512379167.574),
        ("t=1512379167574123", 1512379167.574123),
        ("1512379167574123000", 1512379167.574123),
    ],
)
def test_when_a_server_in_front_got_it_is_read_in_each_usual_unit(text, seconds):
    assert started(text) == pytest.approx(seconds, abs=1e-5)
    assert read({REQUEST_START: [text]}, trusted=True).started == pytest.approx(seconds, abs=1e-5)
    assert read({QUEUE_START: [text]}, trusted=True).started == pytest.approx(seconds, abs=1e-5)


@pytest.mark.parametrize(
    "text",
    [*sorted(set(WRONG) - {"9" * 10}), "t=", "t=1", "T=1512379167", "t=t=1512379167", "151237916757", "1512379167."],
    ids=lambda each: repr(each[:12]),
)  # fmt: skip
def test_a_start_in_any_other_form_says_nothing(text):
    assert started(text) is None


@pytest.mark.parametrize("each", Criticality)
def test_criticality_is_one_of_three_words(each):
    assert read({CRITICALITY: [each.value]}, trusted=True).criticality is each


@pytest.mark.parametrize("text", ["", "CRITICAL", "critical ", "important", "critical,critical", "x" * (1 << 20)])
def test_any_other_word_says_nothing(text):
    assert read({CRITICALITY: [text]}, trusted=True).criticality is None


@pytest.mark.parametrize("name", ["shop", "spiffe://prod/ns/shop", "a" * 64])
def test_a_caller_is_a_plain_name(name):
    assert read({CALLER: [name]}, trusted=True).caller == name


@pytest.mark.parametrize("name", ["", "a" * 65, "sh op", "shöp", "shop\n"])
def test_any_other_name_says_nothing(name):
    assert read({CALLER: [name]}, trusted=True).caller is None


def test_a_stranger_says_nothing_of_all_that():
    said = {CRITICALITY: ["critical"], CALLER: ["shop"], REQUEST_START: ["t=1512379167"], ATTEMPT: ["2"], REPORT: ["1"]}
    assert read(said) == Inbound()
