"""Load reports in headers: what is in the grammar is read, and of everything else nothing."""

from __future__ import annotations

import json
import random
import struct
from base64 import b64encode

import pytest
from security.orca_headers import headers

from meshware.core.outcome import LoadReport, sensible
from meshware.security.orca import LONGEST, read_report, read_service_time, write

OURS = "TEXT application_utilization=0.250000, rps_fractional=80.000000, eps=0.500000, named_metrics.inflight=3.000000"


def binary(*fields):
    """A message of (tag, bytes)."""
    return b64encode(b"".join(bytes([tag]) + value for tag, value in fields)).decode()


def double(value):
    return struct.pack("<d", value)


def named(name, value):
    entry = bytes([0x0A, len(name)]) + name + b"\x11" + double(value)
    return bytes([len(entry)]) + entry


def test_what_we_write_we_read():
    figures = {"application_utilization": 0.25, "rps_fractional": 80, "eps": 0.5, "named_metrics.inflight": 3}
    assert write(figures) == OURS
    assert read_report(OURS) == LoadReport(0.25, rps=80.0, eps=0.5, queue=3.0)


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("TEXT cpu_utilization=0.3,mem_utilization=0.8", LoadReport(0.3)),
        ("TEXT cpu_utilization:0.3, rps_fractional:1e2", LoadReport(0.3, rps=100.0)),
        ("TEXT application_utilization=0.7, cpu_utilization=0.3", LoadReport(0.7)),
        ("TEXT application_utilization=0, cpu_utilization=0.3", LoadReport(0.3)),
        ("TEXT rps_fractional=10, eps=1", LoadReport(None, rps=10.0, eps=1.0)),
        ("TEXT eps=1e-05,utilization.disk=0.9,request_cost.x=3", LoadReport(None, eps=1e-05)),
        ("TEXT named_metrics.svc=0.25", LoadReport(None, service_time=0.25)),
        ('JSON {"cpu_utilization": 0.3, "rps_fractional": 10}', LoadReport(0.3, rps=10.0)),
        ('JSON {"applicationUtilization": 1, "namedMetrics": {"svc": 0.5}}', LoadReport(1.0, service_time=0.5)),
        ('JSON {"eps": 1, "utilization": {"disk": 1e300}}', LoadReport(None, eps=1.0)),
        ("BIN " + binary((0x49, double(0.5)), (0x31, double(9.0))), LoadReport(0.5, rps=9.0)),
    ],
)
def test_the_forms_of_orca_are_read(text, report):
    assert read_report(text) == report


def test_the_header_of_protobuf_is_read_when_the_other_is_not_there():
    message = binary((0x09, double(0.5)), (0x18, b"\x64"), (0x22, b"\x00"), (0x42, named(b"svc", 0.25)))
    assert read_report(None, message) == LoadReport(0.5, service_time=0.25)
    assert read_report(None, message.rstrip("=")) == LoadReport(0.5, service_time=0.25)
    assert read_report(OURS, message) == read_report(OURS)
    assert read_report(None, None) is None


NONSENSE = [
    "", "TEXT", "TEXT ", "TEXT  ", "text eps=1", "eps=1", "JSON", "JSON {}", "JSON []", "JSON 1", "JSON {", "BIN",
    "BIN ====", "BIN AAAA", "YAML eps: 1", "TEXT eps", "TEXT eps=", "TEXT =1", "TEXT eps=1,", "TEXT eps=1,,rps=2",
    "TEXT eps=1, eps=1", "TEXT eps=1;rps_fractional=2", "TEXT eps==1", "TEXT eps=-1", "TEXT eps=+1", "TEXT eps=nan",
    "TEXT eps=inf", "TEXT eps=1e309", "TEXT eps=1e99", "TEXT eps=0x10", "TEXT eps=1_0", "TEXT eps=1.", "TEXT eps=.5",
    "TEXT eps=\u0661", "TEXT e\u0440s=1", "TEXT eps=1\n", "TEXT eps=1\x00", "TEXT eps= 1", "TEXT eps =1",
    "TEXT eps=" + "1" * 16, "TEXT application_utilization=1001", "TEXT named_metrics.svc=181",
    'JSON {"eps": NaN}', 'JSON {"eps": Infinity}', 'JSON {"eps": -1}', 'JSON {"eps": 1e309}', 'JSON {"eps": "1"}',
    'JSON {"eps": true}', 'JSON {"eps": null}', 'JSON {"eps": [1]}', 'JSON {"eps": 1, "eps": 1}', 'JSON {"eps": 1} x',
    'JSON {"rpsFractional": 1, "rps_fractional": 1}', 'JSON {"named_metrics": {"svc": {"a": 1}}}',
    'JSON {"eps": ' + "9" * 4000 + "}", "JSON " + "[" * 4000, 'JSON {"eps": 1, "x": "y"}',
    "TEXT " + ",".join(f"named_metrics.m{number}=1" for number in range(65)),
]  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE, ids=lambda each: ascii(each[:24]))
def test_what_is_not_in_the_grammar_says_nothing(text):
    assert read_report(text) is None


def test_a_longer_header_is_not_looked_at():
    text = OURS + " " * (LONGEST - len(OURS))
    assert read_report(text) is not None
    assert read_report(text + " ") is None
    assert read_service_time("total;dur=1" + " " * LONGEST) is None
    assert read_report(None, "A" * (LONGEST + 4)) is None


@pytest.mark.parametrize(
    "message",
    [
        binary((0x09, double(0.5)), (0x09, double(0.5))),
        binary((0x09, double(0.5)[:7])),
        binary((0x0D, bytes(4))),
        binary((0x08, b"\x01")),
        binary((0x09, double(float("nan")))),
        binary((0x09, double(-1.0))),
        binary((0x42, b"\x7f")),
        binary((0x42, b"\x03\x0a\x01\xff")),
        binary((0x40, b"\x01")),
        binary((0x0B, b"")),
        binary((0x01, double(1.0))),
        binary((0xFF, b"\xff" * 12)),
        "not base64!",
        "\u0661",
    ],
)
def test_a_message_that_is_none_says_nothing(message):
    assert read_report(None, message) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("total;dur=12.3", 0.0123),
        ("cache;desc=hit;dur=1, total;dur=250", 0.25),
        ('db;dur=53, total;desc="all of it" ; dur = 100 , app;dur=47.2', 0.1),
    ],
)
def test_server_timing_tells_how_long_an_answer_took(text, seconds):
    assert read_service_time(text) == LoadReport(None, service_time=pytest.approx(seconds))


@pytest.mark.parametrize(
    "text",
    [
        None, "", "total", "total;dur", "total;dur=", "total;dur=-1", "total;dur=nan", "total;dur=1e99", "dur=12",
        "total;dur=1, total;dur=2", "total;dur=1;dur=2", "app;dur=12", "Total;dur=12", "total;dur=\u0661",
        "total;dur=190000", ";" * 4000, "total" + ";dur=" * 800,
    ],
)  # fmt: skip
def test_server_timing_in_any_other_form_says_nothing(text):
    assert read_service_time(text) is None


def told(count):
    """Reads so many headers in all ways; gives how many of them said something."""
    said = 0
    for header in headers(random.Random(count), count):
        for report in (read_report(header), read_report(None, header), read_service_time(header)):
            assert report is None or sensible(report)
            said += report is not None
    return said


@pytest.mark.row("F41")
def test_whatever_a_server_sends_nothing_raises():
    assert told(10_000) > 1_000


@pytest.mark.soak
def test_whatever_a_million_servers_send_nothing_raises():
    assert told(1_000_000) > 100_000


def test_json_as_python_writes_it_is_read():
    figures = {"application_utilization": 0.125, "rps_fractional": 3.5, "named_metrics": {"inflight": 2}}
    assert read_report("JSON " + json.dumps(figures)) == LoadReport(0.125, rps=3.5, queue=2.0)
