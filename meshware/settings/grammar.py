"""The strict grammars of addresses and names: exact, ASCII, no userinfo, no percent-encoding."""

from __future__ import annotations

import json
import re
from datetime import datetime
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, Literal

from meshware.core.request import TOKEN
from meshware.core.template import VARIABLE, variables

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_NUMERIC = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)(?:\.(?:0[xX][0-9a-fA-F]*|[0-9]+))*", re.ASCII)


LONGEST = 86_400.0
"""Seconds that any time in the settings may be."""


class Refused(ValueError):
    """A value that cannot stand, with the nearest right one if there is any."""

    def __init__(self, expected: str, nearest: str | None = None) -> None:
        super().__init__(expected)
        self.nearest = nearest


def no_bool(value: Any) -> Any:
    """A number, where True would pass for 1."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not a boolean")
    return value


def share(value: Any) -> Any:
    """A part of a whole; who writes 80 means 0.8."""
    if isinstance(value, int | float) and not 0 <= value <= 1:
        raise Refused(f"a share from 0 to 1 (80 % is 0.8), not {value:g}")
    return value


_STATUSES = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?", re.ASCII)
_TARGET = re.compile(r"/[!-~]*", re.ASCII)


def statuses(value: Any) -> tuple[int, int]:
    """`200` or `200-299`, as a range with both its ends."""
    if isinstance(value, tuple | list) and len(value) == 2:
        value = f"{value[0]}-{value[1]}"
    found = None if isinstance(value, bool) else _STATUSES.fullmatch(str(value))
    low, high = (0, -1) if found is None else (int(found[1]), int(found[2] or found[1]))
    if high < low:
        raise ValueError("a status like 200, or a range of them like 200-299")
    return low, high


def some(ranges: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """At least one."""
    if not ranges:
        raise ValueError("at least one status: else nobody is ever well")
    return ranges


def target(text: str) -> str:
    """What may stand in a request's first line: a path, with or without a query."""
    if not _TARGET.fullmatch(text):
        raise ValueError("a path that begins with / and has no spaces, like /health")
    return text


def headers(named: dict[str, str]) -> dict[str, str]:
    """Names and values as HTTP has them."""
    for name, value in named.items():
        header(name, value)
    return named


def address(text: str) -> str:
    """`host:port`, with a host name, an IPv4 address, or an IPv6 address in brackets."""
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError("an address is host:port with a port from 1 to 65535")
    if host.startswith("[") and host.endswith("]"):
        if "%" in host or not _parses(IPv6Address, host[1:-1]):
            raise ValueError("not an IPv6 address in brackets, without a zone")
    elif _NUMERIC.fullmatch(host):
        if not _parses(IPv4Address, host):
            raise ValueError("not an IPv4 address")
    elif not _NAME.fullmatch(host) or len(host) > 253:
        raise ValueError("not a host name, an IPv4 address or an IPv6 address in brackets")
    return text.lower()


def service_name(name: Any) -> str:
    """The one spelling of a logical name: lower case, without a trailing dot; `name` or `name:port`."""
    if not isinstance(name, str):
        raise ValueError(f"a service's name is text, not {name!r}")
    host, colon, port = name.lower().partition(":")
    host = host.removesuffix(".")
    if not name.isascii() or not _NAME.fullmatch(host) or len(host) > 253 or _NUMERIC.fullmatch(host):
        raise ValueError(f"{name!r} is no name for a service: letters, digits, - and dots, and no IP address")
    if colon and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise ValueError(f"{name!r} has no port from 1 to 65535")
    return host + colon + port


def http_name(text: str) -> str:
    """What may stand in a Host header: a name, with or without a port."""
    try:
        return service_name(text)
    except ValueError:
        raise ValueError(
            "`logical`, `endpoint`, or a name: letters, digits, - and dots, with or without a port"
        ) from None


def tls_name(text: str) -> str:
    """What a certificate may be for: a name or an IP address."""
    if _parses(IPv4Address, text) or _parses(IPv6Address, text):
        return text
    if ":" in text or not text.isascii():
        raise ValueError("a host name or an IP address, without a port")
    return http_name(text)


_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)+", re.ASCII)


def path_prefix(text: str) -> str:
    """A path under which requests are alike: `/admin` is `/admin` and all below it, not `/administration`."""
    if len(text) > 256 or not _PREFIX.fullmatch(text):
        raise ValueError("a path, like /admin: it begins with / and has no ? or #, at most 256 characters")
    return text


_SENT = re.compile(r"/[!-~]*", re.ASCII)


def plain_path(text: str) -> str:
    """A path as it is sent, or the beginning of one: no query, nothing that would have to be encoded."""
    if not _SENT.fullmatch(text) or "?" in text or "#" in text:
        raise ValueError("a path: it begins with /, in ASCII as it is sent, without spaces, ? and #")
    return text


def separated_prefix(text: str) -> str:
    """The first segments of a path."""
    if plain_path(text).endswith("/"):
        raise Refused(
            "whole segments, without a slash at the end (of all paths, `prefix` is `/`)", text.rstrip("/") or None
        )
    return text


def template(text: str) -> str:
    """A path whose variables are whole segments, each of another name."""
    names, segments = variables(plain_path(text)), text.split("/")[1:]
    held = [each for each in segments if "{" in each or "}" in each]
    if not names or len(names) != len(held) or not all(VARIABLE.fullmatch(each) for each in held):
        raise ValueError("a path with variables that are whole segments, like /items/{id} or /files/{rest=**}")
    if len(set(names)) < len(names):
        raise ValueError("variables with a name each")
    if any(each.endswith("=**}") for each in segments[:-1]):
        raise ValueError("`{name=**}` at the end only: it is all that is left")
    return text


def moment(value: Any) -> datetime:
    """A time with its offset from UTC."""
    found = end_time(value) if isinstance(value, str | datetime) else None
    if not isinstance(found, datetime):
        raise ValueError("a time such as 2026-03-01T12:00:00Z")
    return found


def network(value: Any) -> IPv4Network | IPv6Network:
    """An address range, as text or ready made."""
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError("a network is text, like 10.0.0.0/8")
    try:
        return ip_network(value)
    except ValueError as error:
        raise ValueError(f"a network, like 10.0.0.0/8 ({error})") from None


def attempt_limit(value: Any) -> float | Literal["adaptive"] | None:
    """Seconds, `adaptive`, or None."""
    if value is None:
        return None
    if isinstance(value, str):
        if value == "adaptive":
            return "adaptive"
        raise Refused("`adaptive`, None, or seconds", "adaptive")
    if isinstance(no_bool(value), int | float) and 0 < value <= LONGEST:
        return float(value)
    raise ValueError(f"`adaptive`, None, or seconds: more than 0, at most {LONGEST:.0f}")


_TOKEN = re.compile(TOKEN)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


def end_time(value: Any) -> float | datetime | None:
    """Seconds from the load, or a moment: ISO 8601 with its offset from UTC."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("seconds, or a time such as 2026-03-01T12:00:00Z") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("which zone is that in? End it by Z for UTC, or by an offset such as +01:00")
        return value
    if isinstance(no_bool(value), int | float) and 0 < value <= LONGEST:
        return float(value)
    raise ValueError(f"seconds (more than 0, at most {LONGEST:.0f}), or a time such as 2026-03-01T12:00:00Z")


def header(name: str, value: str = "") -> None:
    """What HTTP can say as a header (RFC 9110, 5.1 and 5.5)."""
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no header's name")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"{name}: a header's value is one line of latin-1, not {value!r}")


def header_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of headers, in lower case."""
    for name in names:
        header(name)
    return tuple(name.lower() for name in names)


def as_json(value: Any) -> None:
    """What JSON can say."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"text, or what JSON can say ({error})") from None


def _parses(kind: type[IPv4Address] | type[IPv6Address], text: str) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return True
