"""Errors between requests and the core: what an exception of requests means, and ours as requests' own.

Whoever catches `requests.Timeout` or `requests.ConnectionError` also catches ours; whoever catches
ours need not know the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions

from meshware.breaking import errors as breaking
from meshware.core import errors
from meshware.core.outcome import Cause
from meshware.outbound.errors import STANDARD, Meaning, chain
from meshware.outbound.errors import cause_of as by_meaning
from meshware.outbound.errors import twin as make_twin

if TYPE_CHECKING:
    from meshware.outbound.wire import Wire


class DeadlineExceeded(errors.DeadlineExceeded, requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError):
    """The call's deadline passed. Requests itself raises ConnectionError for a timeout inside a body."""


class NoEndpoint(errors.NoEndpoint, requests.exceptions.ConnectionError):
    """No endpoint of the service may be used now."""


class CircuitOpen(breaking.BreakerOpen, requests.exceptions.ConnectionError):
    """The service's circuit is open."""


class Overloaded(errors.Overloaded, requests.exceptions.ConnectionError):
    """A limiter of ours refused the call."""


class InsecureService(errors.InsecureService, requests.exceptions.InvalidSchema):
    """`https://` for a service without `tls`."""


_TWINS: dict[type[errors.MeshError], Any] = {
    errors.DeadlineExceeded: DeadlineExceeded,
    errors.NoEndpoint: NoEndpoint,
    errors.CircuitOpen: CircuitOpen,
    errors.Overloaded: Overloaded,
    errors.InsecureService: InsecureService,
}


def twin(error: errors.MeshError, request: requests.PreparedRequest) -> Exception:
    """The same error as one of requests', with the request on it."""
    return make_twin(error, _TWINS, request=request, response=None)


_MEANING: Meaning = (
    (urllib3.exceptions.ConnectTimeoutError, Cause.CONNECT_TIMEOUT, Cause.CONNECT_TIMEOUT),
    (urllib3.exceptions.EmptyPoolError, Cause.LOCAL, Cause.LOCAL),
    (urllib3.exceptions.ReadTimeoutError, Cause.CONNECT_TIMEOUT, Cause.TIMEOUT),
    *STANDARD,
)


def cause_of(error: BaseException, wire: Wire) -> Cause:
    """Why an attempt has no answer."""
    # a NewConnectionError is by its base a connect timeout; what happened is its cause
    told = (each for each in chain(error) if not isinstance(each, urllib3.exceptions.NewConnectionError))
    return by_meaning(told, wire, _MEANING)
