"""Errors between requests and the core: what an exception of requests means, and ours as requests' own.

Whoever catches `requests.Timeout` or `requests.ConnectionError` also catches ours; whoever catches
ours need not know the client.
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

import requests
import urllib3.exceptions

from meshware.breaking import errors as breaking
from meshware.core import errors
from meshware.core.outcome import Cause
from meshware.outbound.errors import LOCAL_ERRNOS, chain
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


_MEANING: tuple[tuple[type[BaseException], Cause, Cause], ...] = (
    # error, before the request went out, and after
    (urllib3.exceptions.ConnectTimeoutError, Cause.CONNECT_TIMEOUT, Cause.CONNECT_TIMEOUT),
    (urllib3.exceptions.EmptyPoolError, Cause.LOCAL, Cause.LOCAL),
    (ConnectionRefusedError, Cause.REFUSED, Cause.RESET),
    (urllib3.exceptions.ReadTimeoutError, Cause.CONNECT_TIMEOUT, Cause.TIMEOUT),
    (TimeoutError, Cause.CONNECT_TIMEOUT, Cause.TIMEOUT),
    (http.client.RemoteDisconnected, Cause.CONNECT, Cause.RESET),
    (http.client.IncompleteRead, Cause.CONNECT, Cause.RESET),
    (http.client.HTTPException, Cause.CONNECT, Cause.PROTOCOL),
)


def cause_of(error: BaseException, wire: Wire) -> Cause:
    """Why an attempt has no answer."""
    if wire.cut.fired:
        return wire.cut.cause(begun=wire.begun > 0)
    for each in chain(error):
        if isinstance(each, OSError) and each.errno in LOCAL_ERRNOS:
            return Cause.LOCAL
        if isinstance(each, urllib3.exceptions.NewConnectionError):
            continue  # by its base a connect timeout; what happened is its cause
        for kind, before, after in _MEANING:
            if isinstance(each, kind):
                return after if wire.sent else before
    return Cause.RESET if wire.sent else Cause.CONNECT
