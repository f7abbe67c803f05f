"""What every door does with errors: ours as the client's own, and down an error's chain to the system's."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from typing import Any

from meshware.core.errors import MeshError

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
