"""Where boards lie: in a directory of this user's alone, in memory where the system has a place for that."""

from __future__ import annotations

import os
import stat
import tempfile
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from meshware.sharing.cells import VERSION, Unusable

MEMORY = "/dev/shm"
BOOT = "/proc/sys/kernel/random/boot_id"


def directory(chosen: str | None) -> Path:
    """The directory, made if need be. Raises Unusable unless it is this user's, and nobody else may write there."""
    base = Path(chosen or (MEMORY if os.access(MEMORY, os.W_OK) else tempfile.gettempdir()))
    path = base / f"meshware-{os.geteuid()}"
    try:
        path.mkdir(mode=0o700, parents=chosen is not None, exist_ok=True)
        status = path.stat(follow_symlinks=False)
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror or error}") from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise Unusable(f"{path}: not a directory of this user's alone")
    return path


def stem(service: str, environment: str) -> str:
    """What the files of a service's boards begin with, whatever its settings."""
    return ".".join(quote(each, safe="")[:48] for each in (service, environment)) + f".v{VERSION}"


def board(service: str, environment: str, fingerprint: str, chosen: str | None) -> tuple[Path, int]:
    """Where the board of these settings lies, and its identity. Raises Unusable as `directory` does."""
    number = identity(fingerprint)
    return directory(chosen) / f"{stem(service, environment)}.{number:016x}", number


def identity(fingerprint: str) -> int:
    """A number for these settings since this boot: times on a board are the monotonic clock's."""
    try:
        boot = Path(BOOT).read_text()
    except OSError:
        boot = ""
    return key(f"{fingerprint}\n{boot}")


def key(text: str) -> int:
    """A number that stands for a text: positive, and of 63 bits."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1 or 1
