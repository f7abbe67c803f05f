"""TLS of our own connections: whom it trusts, who it is, and that both are read again."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from meshware.security.tls import Tls, TlsOptions


def shake(upstream, tls):
    host, port = upstream.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), 2.0) as sock, tls(sock) as secured:
        return secured.version()


def test_it_is_for_the_services_name_unless_another_is_set():
    settings = SimpleNamespace(server_name=None, ca="ca.pem", cert=None, key=None)
    assert TlsOptions.of("inventory:8443", settings) == TlsOptions("inventory", "ca.pem")
    settings.server_name = "shop"
    assert TlsOptions.of("inventory", settings).server_name == "shop"


def test_a_directory_of_certificates_and_ones_own_are_read_and_read_again(tls_upstream, authority, ca, tmp_path):
    upstream, now = tls_upstream("inventory"), [0.0]
    cert = authority.issue_cert("shop")
    cert.private_key_and_cert_chain_pem.write_to_path(tmp_path / "own.pem")
    tls = Tls(TlsOptions("inventory", ca, str(tmp_path / "own.pem")), clock=lambda: now[0])
    assert shake(upstream, tls) == "TLSv1.3"
    first = tls._context
    shake(upstream, tls)
    assert tls._context is first
    now[0] += 61
    shake(upstream, tls)
    assert tls._context is not first
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        shake(upstream, Tls(TlsOptions("inventory", str(tmp_path))))
