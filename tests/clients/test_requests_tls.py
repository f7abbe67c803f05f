"""TLS through requests: the certificate must be the logical name's, and names share nothing."""

from __future__ import annotations

import pytest
import requests

import meshware


def test_the_logical_name_is_asked_for_and_verified(tls_upstream, mesh_of, session_of, ca):
    server = tls_upstream("inventory")
    session = session_of(mesh_of({"tls": {"ca": ca}}, inventory=[server]))
    answer = session.get("https://inventory/echo")
    assert answer.json()["server_name"] == "inventory"
    assert answer.json()["headers"]["host"] == "inventory"
    assert answer.url == "https://inventory/echo"


def test_a_certificate_for_another_name_is_refused(tls_upstream, mesh_of, session_of, ca):
    server = tls_upstream("pricing")
    session = session_of(mesh_of({"tls": {"ca": ca}}, inventory=[server]))
    with pytest.raises(requests.exceptions.SSLError, match="inventory"):
        session.get("https://inventory/ok")


def test_two_names_at_one_endpoint_never_share_a_connection(tls_upstream, mesh_of, session_of, ca):
    server = tls_upstream("inventory")
    session = session_of(mesh_of({"tls": {"ca": ca}}, inventory=[server], billing=[server]))
    assert session.get("https://inventory/ok").text == "ok"
    with pytest.raises(requests.exceptions.SSLError):
        session.get("https://billing/ok")


def test_another_name_may_be_verified_by_setting(tls_upstream, mesh_of, session_of, ca):
    server = tls_upstream("pods.example")
    session = session_of(mesh_of({"tls": {"ca": ca, "server_name": "pods.example"}}, inventory=[server]))
    answer = session.get("https://inventory/echo")
    assert answer.json()["server_name"] == "pods.example"
    assert answer.json()["headers"]["host"] == "inventory"


def test_the_callers_verify_comes_before_the_settings(tls_upstream, mesh_of, session_of, ca):
    server = tls_upstream("inventory")
    session = session_of(mesh_of({"tls": {}}, inventory=[server]))
    with pytest.raises(requests.exceptions.SSLError):
        session.get("https://inventory/ok")
    assert session.get("https://inventory/ok", verify=ca).text == "ok"


def test_a_client_certificate_is_shown(tls_upstream, mesh_of, session_of, authority, ca, tmp_path):
    server = tls_upstream("inventory")
    issued = authority.issue_cert("shop")
    pem = tmp_path / "shop.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(pem)
    session = session_of(mesh_of({"tls": {"ca": ca, "cert": str(pem), "key": str(pem)}}, inventory=[server]))
    assert session.get("https://inventory/ok").text == "ok"
    session = session_of(mesh_of({"tls": {"ca": ca, "cert": str(pem)}}, inventory=[server]))
    assert session.get("https://inventory/ok").text == "ok"


def test_https_without_tls_settings_is_refused_and_nothing_sent(tls_upstream, mesh_of, session_of):
    server = tls_upstream("inventory")
    session = session_of(mesh_of(inventory=[server]))
    with pytest.raises(requests.exceptions.InvalidSchema, match=r"services\.inventory\.tls") as refused:
        session.get("https://inventory/ok")
    assert isinstance(refused.value, meshware.MeshError)
    assert server.connections == []


def test_a_handshake_that_never_comes_ends_at_the_connect_timeout(mesh_of, session_of, upstream, ca):
    """The plain server reads the hello and says nothing."""
    upstream.answers = {}
    session = session_of(
        mesh_of({"tls": {"ca": ca}, "connect_timeout": 0.2, "retry": {"attempts": 1}}, inventory=[upstream])
    )
    with pytest.raises(requests.Timeout):
        session.get("https://inventory/ok")
    assert upstream.let_go_within(2.0)
