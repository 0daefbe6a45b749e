"""Keep freed memory instead of giving it back: fresh pages cost more than the arithmetic on them.

The C library returns every large block to the system as soon as it is freed, and each evaluation of
an objective asks for the same hundreds of megabytes again. The system must then find and clear each
page anew: measured on a virtual machine, 13 to 90 ms for one activation of 54 MB that takes 1 ms to
fill once it is there. This affects glibc, that is Linux; elsewhere nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from functools import cache

#: Environment variable: ``off`` leaves the C library as it is.
SWITCH = "IMPASTO_KEEP_MEMORY"
#: Parameters of mallopt(3), and their values: while memory is kept, and glibc's own.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: 64 << 20}
_USUAL = {_MMAP_MAX: 65536, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10}

_lock = threading.Lock()
_users = 0


@contextlib.contextmanager
def kept_memory() -> Iterator[bool]:
    """Within, freed memory stays with the process; at the end of the outermost, it goes back.

    Yields:
        Whether that is so: not outside Linux with glibc, nor where it is switched off.
    """
    libc = _glibc() if keeps() else None
    if libc is None:
        yield False
        return
    _enter(libc)
    try:
        yield True
    finally:
        _leave(libc)


def keeps() -> bool:
    """Whether :func:`kept_memory` has an effect here."""
    off = os.environ.get(SWITCH, "").lower() in ("0", "off", "no")
    return not off and _glibc() is not None


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        # musl has neither.
        if libc.mallopt and libc.malloc_trim:
            return libc
    return None


def _enter(libc: ctypes.CDLL) -> None:
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            for name, value in _KEEPING.items():
                libc.mallopt(name, value)


def _leave(libc: ctypes.CDLL) -> None:
    global _users
    with _lock:
        _users -= 1
        if _users == 0:
            for name, value in _USUAL.items():
                libc.mallopt(name, value)
            libc.malloc_trim(ctypes.c_size_t(0))
