"""Errors between niquests and meshware: what an exception of niquests means, and ours as niquests' own."""

from __future__ import annotations

from typing import Any

import niquests
from niquests import exceptions

from meshware.breaking import errors as breaking
from meshware.core import errors
from meshware.core.outcome import Cause
from meshware.outbound.errors import LOCAL_ERRNOS, chain
from meshware.outbound.errors import twin as make_twin


class DeadlineExceeded(errors.DeadlineExceeded, exceptions.ReadTimeout, exceptions.ConnectionError):
    """The call's deadline passed."""


class NoEndpoint(errors.NoEndpoint, exceptions.ConnectionError):
    """No endpoint of the service may be used now."""


class CircuitOpen(breaking.BreakerOpen, exceptions.ConnectionError):
    """The service's circuit is open."""


class Overloaded(errors.Overloaded, exceptions.ConnectionError):
    """A limiter of ours refused the call."""


class InsecureService(errors.InsecureService, exceptions.InvalidSchema):
    """`https://` for a service without `tls`."""


_KINDS: dict[type[errors.MeshError], Any] = {
    errors.DeadlineExceeded: DeadlineExceeded,
    errors.NoEndpoint: NoEndpoint,
    errors.CircuitOpen: CircuitOpen,
    errors.Overloaded: Overloaded,
    errors.InsecureService: InsecureService,
}

FAILURES = (exceptions.ConnectionError, exceptions.Timeout, exceptions.ChunkedEncodingError, exceptions.HTTPError)
"""What niquests raises for what the endpoint or the network did."""


def twin(error: errors.MeshError, request: niquests.PreparedRequest) -> Exception:
    """The same error as one of niquests', with the request on it."""
    return make_twin(error, _KINDS, request=request, response=None)


def cause_of(error: BaseException, *, sent: bool) -> Cause:
    """Why an attempt has no answer; `sent`: whether its connection stood."""
    for each in chain(error):
        if isinstance(each, OSError) and each.errno in LOCAL_ERRNOS:
            return Cause.LOCAL
        if isinstance(each, ConnectionRefusedError):
            return Cause.RESET if sent else Cause.REFUSED
    if isinstance(error, exceptions.Timeout):
        return Cause.TIMEOUT if sent else Cause.CONNECT_TIMEOUT
    return Cause.RESET if sent else Cause.CONNECT
