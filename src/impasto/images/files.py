"""Bytes from wherever a picture may come from, with everything that can go wrong on the way."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from impasto.errors import InputError
from impasto.images.model import Limits
from impasto.images.sniff import HEAD_BYTES, READABLE, describe, sniff

_KNOWN = ", ".join(READABLE)


@dataclass(frozen=True)
class Blob:
    """The bytes of one picture file.

    Attributes:
        name: Display name.
        data: All bytes.
        format: What the signature says, one of :data:`impasto.images.sniff.READABLE`.
    """

    name: str
    data: bytes
    format: str


def fetch(source: str | Path | bytes | BinaryIO, limits: Limits) -> Blob:
    """Read a file, a stream or bytes, as far as the signature and the limits allow.

    The signature is looked at before the rest is read: a film given by mistake costs nothing.

    Raises:
        InputError: Not found, not readable, a folder, empty, too many bytes, or not a picture.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _from_bytes("<bytes>", bytes(source), limits)
    if isinstance(source, str) and source == "-":
        return _from_stream("-", sys.stdin.buffer, limits)
    if isinstance(source, str | os.PathLike):
        return _from_path(source, limits)
    return _from_stream(str(getattr(source, "name", "<stream>")), source, limits)


def shown(name: str) -> str:
    """A name on one line without control characters, for messages."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)


def _from_path(path: str | os.PathLike[str], limits: Limits) -> Blob:
    name = os.fspath(path)
    try:
        status = Path(name).stat()
        if stat.S_ISDIR(status.st_mode):
            raise InputError(f"{shown(name)} is a folder, not a picture")
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
            raise InputError(f"{shown(name)} is a device, not a picture")
        if limits.max_bytes is not None and status.st_size > limits.max_bytes:
            raise _too_many_bytes(name, status.st_size, limits.max_bytes)
        with Path(name).open("rb") as stream:
            return _from_stream(name, stream, limits)
    except FileNotFoundError:
        raise InputError(f"{shown(name)} does not exist") from None
    except PermissionError:
        raise InputError(f"{shown(name)} may not be read", hint="check its permissions") from None
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the name. OSError: name too long, a loop of links, a broken disk.
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown(name)} cannot be read: {reason}") from None


def _from_stream(name: str, stream: BinaryIO, limits: Limits) -> Blob:
    try:
        head = _read(stream, HEAD_BYTES)
        kind = _kind(name, head)
        budget = -1 if limits.max_bytes is None else limits.max_bytes + 1 - len(head)
        data = head + (_read(stream, budget) if budget else b"")
    except OSError as error:
        raise InputError(f"{shown(name)} cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise InputError(f"{shown(name)} does not fit in memory") from None
    if limits.max_bytes is not None and len(data) > limits.max_bytes:
        raise _too_many_bytes(name, None, limits.max_bytes)
    return Blob(name, data, kind)


def _read(stream: BinaryIO, count: int) -> bytes:
    """Exactly ``count`` bytes, fewer only at the end; a raw stream may give less per call."""
    if count < 0:
        return stream.read()
    parts, left = [], count
    while left > 0 and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _from_bytes(name: str, data: bytes, limits: Limits) -> Blob:
    if limits.max_bytes is not None and len(data) > limits.max_bytes:
        raise _too_many_bytes(name, len(data), limits.max_bytes)
    return Blob(name, data, _kind(name, data[:HEAD_BYTES]))


def _kind(name: str, head: bytes) -> str:
    if not head:
        raise InputError(f"{shown(name)} is empty")
    kind = sniff(head)
    if kind is None:
        what = describe(head)
        raise InputError(
            f"{shown(name)} is {what or 'not a picture'}", hint=f"impasto reads {_KNOWN}"
        )
    return kind


def _too_many_bytes(name: str, got: int | None, allowed: int) -> InputError:
    size = f"has {got} bytes" if got is not None else "is too large"
    return InputError(f"{shown(name)} {size}; at most {allowed} bytes are read")
