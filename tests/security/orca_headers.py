"""Load reports as a hostile or broken server may send them: mutated good ones, absurd numbers, and mere noise."""

from __future__ import annotations

import json
import struct
from base64 import b64encode

NUMBERS = [
    "0", "0.25", "1", "80", "1e-05", "1e3", "000.5", "999999999999999", "1e99", "1E+2",
    "-1", "+1", "nan", "NaN", "-inf", "Infinity", "1e309", "1e999999", "0x10", "1_0", ".5", "1.", "1.5.2", "1,5", "",
    " 1", "1 ", "\u0661\u0660", "\uff11", "1" * 400, "0." + "0" * 400, "true", "null", "1e", "--1", "1\x00",
]  # fmt: skip
NAMES = [
    "application_utilization", "cpu_utilization", "mem_utilization", "rps_fractional", "eps", "named_metrics.svc",
    "named_metrics.inflight", "named_metrics.slots", "utilization.disk", "request_cost.x", "rpsFractional", "svc",
    "", "named_metrics.", "a" * 65, "ap\u0440lication_utilization",
]  # fmt: skip
ALPHABET = '0123456789eE+-._:=, {}[]";TEXTJSONBINdurtotal\x00\n\r\t\u00e9\u0661\U0001f600'


def number(rng):
    """One that is good more often than not, from the whole range."""
    kind = rng.random()
    if kind < 0.5:
        return f"{rng.expovariate(1) * 10 ** rng.randint(-6, 6):.6f}"
    return rng.choice(NUMBERS)


def names(rng):
    chosen = rng.sample(NAMES[:9], rng.randint(1, 8)) + ([rng.choice(NAMES)] if rng.random() < 0.3 else [])
    return chosen if rng.random() < 0.9 else chosen * rng.randint(1, 40)


def text(rng):
    separator, between = rng.choice("=:"), rng.choice([",", ", ", " ,\t"])
    return "TEXT " + between.join(f"{name}{separator}{number(rng)}" for name in names(rng))


def plain_json(rng):
    flat = [name for name in names(rng) if "." not in name]
    members = [f"{json.dumps(name)}: {number(rng)}" for name in flat]
    members.append(f'"named_metrics": {{"svc": {number(rng)}, "inflight": {number(rng)}}}')
    return "JSON {" + ", ".join(members) + "}"


def protobuf(rng):
    doubles = rng.sample([1, 2, 6, 7, 9], rng.randint(1, 5)) * rng.choice([1, 1, 1, 2])
    message = b"".join(bytes([field << 3 | 1]) + struct.pack("<d", absurd(rng)) for field in doubles)
    for key in (b"svc", b"inflight"):
        entry = bytes([0x0A, len(key)]) + key + b"\x11" + struct.pack("<d", absurd(rng))
        message += bytes([0x42, len(entry)]) + entry
    return rng.choice(["BIN ", ""]) + b64encode(message).decode()


def absurd(rng):
    kind = rng.random()
    return (
        rng.expovariate(1) if kind < 0.7 else rng.choice([0.0, -1.0, 1e300, float("nan"), float("inf"), -0.0, 5e-324])
    )


def timing(rng):
    before, after = rng.choice([";", ";;", " "]), rng.choice(["", ';desc="a"', ","])
    return f"cache;desc=hit, total{before}dur={number(rng)}{after}"


def noise(rng):
    return rng.randbytes(rng.randint(0, 60)).decode("latin-1")


def nested(rng):
    return "JSON " + rng.choice("[{") * rng.randint(1, 5000)


def mutated(rng, header):
    """The same with a few characters changed, left out, doubled, or put in."""
    characters = list(header)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(characters) + 1)
        characters[at : at + rng.randint(0, 2)] = rng.choice(ALPHABET) * rng.choice([0, 1, 1, 2])
    return "".join(characters)


MADE = [text] * 5 + [plain_json] * 3 + [protobuf] * 2 + [timing, noise]


def headers(rng, count):
    """So many headers' values."""
    for turn in range(count):
        header = nested(rng) if turn % 5000 == 0 else rng.choice(MADE)(rng)
        yield mutated(rng, header) if rng.random() < 0.4 else header
