"""Settings that are refused, and the smallest ones that are not."""

from __future__ import annotations

import pytest

from meshware.core.errors import SettingsError
from meshware.settings.load import load


def refusal(source):
    """The problems for which a source is refused."""
    with pytest.raises(SettingsError) as caught:
        load(source)
    return caught.value.problems


def one_service(**settings):
    """Settings with one service, `shop`, at one address unless told otherwise."""
    return {"services": {"shop": {"endpoints": ["10.0.0.1:80"], **settings}}}
