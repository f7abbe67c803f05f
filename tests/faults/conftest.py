"""Servers that misbehave, plain and by TLS."""

from __future__ import annotations

import ssl

import pytest
import trustme
from faults.upstream import Upstream, remember_server_name


@pytest.fixture
def upstream():
    """One faulty server."""
    with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
def authority():
    """A throw-away certificate authority."""
    return trustme.CA()


@pytest.fixture
def tls_upstream(authority):
    """`tls_upstream("inventory")`: a faulty server with a certificate for these names."""
    servers = []

    def make(*names):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(context)
        context.sni_callback = remember_server_name
        server = Upstream(context)
        server.__enter__()
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()
