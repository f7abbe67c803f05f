"""Addresses and names are exact: nothing is guessed, nothing slips through another form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshware.settings.grammar import address, service_name, tls_name

GOOD = ["10.0.0.1:80", "a:1", "Inventory.internal:65535", "my_host-2:8000", "[::1]:80", "[2001:DB8::1]:443", "1a:1"]
BAD = [
    "", "a", "a:", ":80", "a:0", "a:65536", "a:080", "a:+1", "a:1_0", "a:٣", "a: 1", " a:1", "a:1 ", "a:80\n", "a b:1",
    "http://a:1", "a:1/", "u@a:1", "u:p@a:1", "a%2e:1", "::1:80", "[::1]", "[::1%eth0]:80", "[10.0.0.1]:80", "[]:80",
    "10.0.0:80", "10.0.0.256:80", "010.0.0.1:80", "0x7f.1:80", "127.1:80", "2130706433:80", "a..b:1", ".a:1", "a.:1",
    "-a:1", "a-:1", "ä:1", f"{'a' * 64}:1", f"{'a.' * 126}ab:1",
]  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_an_address_is_kept_in_lower_case(text):
    assert address(text) == text.lower()


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError):
        address(text)


@given(st.text(alphabet=".:[]%@/-_0123456789abAxX\u0661\u212a ", max_size=20))
def test_an_address_is_ascii_with_a_port_or_no_address(text):
    try:
        found = address(text)
    except ValueError:
        return
    host, _, port = found.rpartition(":")
    assert found.isascii()
    assert host
    assert 1 <= int(port) <= 65535
    assert not set(found) & set("%@/ ")


@given(st.text(alphabet=".:[]%@/-_0189abAxX\u0661\u212a\u0130 ", max_size=20))
def test_the_spelling_of_a_name_is_its_own_spelling(text):
    try:
        name = service_name(text)
    except ValueError:
        return
    assert service_name(name) == name == name.lower()
    assert text.isascii()
    assert text.lower().replace(".:", ":").removesuffix(".") == name


@pytest.mark.parametrize("name", ["inventory..", "inventory:", "inventory:80:80", "0x7f000001", "1.2", "[::1]", "a%41"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError, match=r"no name|no port"):
        service_name(name)


def test_an_ip_address_with_a_port_is_no_certificate_name():
    with pytest.raises(ValueError, match="without a port"):
        tls_name("10.0.0.1:443")
