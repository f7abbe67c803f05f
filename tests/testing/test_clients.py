"""check_client passes what is fit for use, and says what is wrong with what is not."""

from __future__ import annotations

from importlib import import_module

import pytest
import requests

from meshware.outbound.instrument import Httpx2Client, HttpxClient, RequestsClient
from meshware.testing import check_client


def get_by(library):
    def get(url):
        return import_module(library).get(url, timeout=5.0).status_code

    return get


@pytest.mark.parametrize(
    ("kind", "library"), [(RequestsClient, "requests"), (HttpxClient, "httpx"), (Httpx2Client, "httpx2")]
)
def test_the_built_in_clients_are_fit_for_use(kind, library):
    pytest.importorskip(library)
    check_client(kind, get=get_by(library))


class Missing(RequestsClient):
    def find(self):
        return None


class Odd(RequestsClient):
    def find(self):
        return "requests"


class Idle(RequestsClient):
    def instrument(self, find_mesh):
        pass


class FirstCounts(RequestsClient):
    found = None

    def instrument(self, find_mesh):
        self.found = self.found or find_mesh
        super().instrument(self.found)


class Stays(RequestsClient):
    def uninstrument(self):
        pass


class OnlyOnce(RequestsClient):
    over = False

    def instrument(self, find_mesh):
        if not self.over:
            super().instrument(find_mesh)

    def uninstrument(self):
        self.over = True
        super().uninstrument()


class Rewriting:
    """Sends to the endpoint, but not by the mesh, and under the endpoint's name."""

    def __init__(self):
        self.original = requests.get

    def find(self):
        return requests

    def instrument(self, find_mesh):
        def get(url, **options):
            mesh = find_mesh()
            if mesh is not None:
                url = url.replace("checked.invalid", mesh.services["checked.invalid"].endpoints[0].address)
            return self.original(url, **options)

        requests.get = get

    def uninstrument(self):
        requests.get = self.original


class PastTheMesh(Rewriting):
    """Does all of it, but the mesh sees no call."""

    def instrument(self, find_mesh):
        super().instrument(find_mesh)
        inner = requests.get

        def get(url, **options):
            return inner(url, headers={"Host": "checked.invalid"} if "invalid" in url else None, **options)

        requests.get = get


@pytest.fixture(autouse=True)
def _as_it_was():
    before = requests.get
    yield
    requests.get = before
    RequestsClient().uninstrument()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Missing, "not installed here"),
        (Odd, "a module or None"),
        (Idle, "does not reach its endpoint"),
        (FirstCounts, "does not reach its endpoint"),
        (Stays, "still known after"),
        (OnlyOnce, "instrumented again"),
        (Rewriting, "not one GET for checked.invalid"),
        (PastTheMesh, "0 calls went by the mesh"),
    ],
)
def test_what_is_wrong_is_said(kind, said):
    with pytest.raises(AssertionError, match=said):
        check_client(kind, get=get_by("requests"))


def test_a_library_that_reaches_nothing_at_all_is_no_pass():
    def get(url):
        raise OSError("no network")

    with pytest.raises(AssertionError, match="without a mesh a call does not go"):
        check_client(RequestsClient, get=get)


def test_one_that_answers_for_names_that_nobody_knows_is_no_pass():
    with pytest.raises(AssertionError, match="known before"):
        check_client(RequestsClient, get=lambda url: 200)
