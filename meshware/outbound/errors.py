"""What every door does with errors: ours as the client's own, and down an error's chain to the system's."""

from __future__ import annotations

import errno
import http.client
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from meshware.core.errors import MeshError
from meshware.core.outcome import Cause

if TYPE_CHECKING:
    from meshware.outbound.wire import Wire

LOCAL_ERRNOS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""Our own want of descriptors, memory or ports: nothing that the endpoint did."""


def twin(error: MeshError, kinds: Mapping[type[MeshError], Any], **facts: Any) -> Exception:
    """The same error as one of the client's, with the client's own attributes on it; itself, where there is none."""
    kind = kinds.get(type(error))
    if kind is None:
        return error
    made: Exception = kind.__new__(kind, *error.args)
    made.args = error.args
    made.__dict__.update(error.__dict__, **facts)
    return made


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """From a client's error down to the system's; no further, for what was being handled before is another story."""
    while error is not None:
        yield error
        if isinstance(error, OSError) and error.errno is not None:
            return
        error = error.__cause__ or error.__context__


Meaning = tuple[tuple[type[BaseException], Cause, Cause], ...]

STANDARD: Meaning = (
    # error, before the request went out, and after
    (ConnectionRefusedError, Cause.REFUSED, Cause.RESET),
    (TimeoutError, Cause.CONNECT_TIMEOUT, Cause.TIMEOUT),
    (http.client.RemoteDisconnected, Cause.CONNECT, Cause.RESET),
    (http.client.IncompleteRead, Cause.CONNECT, Cause.RESET),
    (http.client.HTTPException, Cause.CONNECT, Cause.PROTOCOL),
)
"""What errors of sockets and of http.client mean."""


def cause_of(errors: Iterable[BaseException], wire: Wire, meaning: Meaning = STANDARD) -> Cause:
    """Why an attempt whose error has this chain has no answer."""
    if wire.cut.fired:
        return wire.cut.cause(begun=wire.begun > 0)
    for each in errors:
        if isinstance(each, OSError) and each.errno in LOCAL_ERRNOS:
            return Cause.LOCAL
        for kind, before, after in meaning:
            if isinstance(each, kind):
                return after if wire.sent else before
    return Cause.RESET if wire.sent else Cause.CONNECT
