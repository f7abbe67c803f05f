"""An answer's headers are those that the client's own transport would have made."""

from __future__ import annotations

import httpcore
import httpcore2
import httpx
import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshware.outbound.httpx_direct import Direct

LIBRARIES = {"httpx": (httpx, httpcore), "httpx2": (httpx2, httpcore2)}


@pytest.mark.parametrize("library", LIBRARIES)
@given(raw=st.lists(st.tuples(st.sampled_from([b"A", b"a", b"Content-Type"]), st.binary(max_size=4)), max_size=4))
def test_headers_are_those_of_the_library(library, raw):
    module, core = LIBRARIES[library]
    made = Direct(module, core)._heads(raw)
    assert type(made) is module.Headers
    assert vars(made) == vars(module.Headers(raw))
    assert made.raw == module.Headers(raw).raw


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_that_keeps_them_otherwise_makes_them_itself(library, monkeypatch):
    module, core = LIBRARIES[library]

    class Headers(module.Headers):
        def __init__(self, *args):
            super().__init__(*args)
            self.asked = args

    monkeypatch.setattr(module, "Headers", Headers)
    assert Direct(module, core)._heads([(b"A", b"b")]).asked == ([(b"A", b"b")],)
