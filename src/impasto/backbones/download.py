"""Getting weights from the network: only what a hash proves, whole or not at all.

A download goes to ``NAME.part``, is hashed on the way, and takes its name only when the hash is
right. One that was cut goes on where it stopped, from the same or another mirror. Two processes
that want the same file take turns; the second finds it done. Offline, no socket is opened.

Environment: ``IMPASTO_MIRROR`` is one or several addresses (separated by spaces) that hold the
files under their own names and are tried first; ``IMPASTO_OFFLINE=1`` is ``--offline``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import http.client
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from impasto.backbones import weights
from impasto.backbones.model import Entry
from impasto.errors import ResourceError, WeightsError

if TYPE_CHECKING:
    from hashlib import _Hash

_log = logging.getLogger(__name__)

#: Called with the bytes that are there and the bytes there will be (None: the server is silent).
Progress = Callable[[int, int | None], None]

CHUNK = 1 << 20
#: Seconds without a byte after which a connection counts as dead.
TIMEOUT = 30.0
#: Times that a mirror may break off before the next one is tried.
ATTEMPTS = 3


class _CutError(Exception):
    """The connection ended before the file did; what came is kept."""


@dataclass(frozen=True)
class Source:
    """What is to be downloaded.

    Attributes:
        urls: Mirrors, the best first.
        sha256: All hex digits of the hash, or the first of them.
        limit: Bytes above which the file cannot be right.
    """

    urls: tuple[str, ...]
    sha256: str
    limit: int


def fetch(name: str, *, offline: bool = False, progress: Progress | None = None) -> Path:
    """The verified file of weights, downloaded unless it is there already.

    Args:
        name: ``arch.tag``, or ``arch`` for its default weights.
        offline: Do not touch the network.
        progress: Called as bytes arrive.

    Raises:
        UnknownName: No such weights.
        WeightsError: They cannot be had: offline, all mirrors failed, or not for download.
        ResourceError: The disk is full.
    """
    entry = weights.get_entry(name)
    if (path := _ready(entry)) is not None:
        return path
    if entry.kind != "online":
        weights.verify(weights.locate(entry))  # says what is wrong, and what to do
    if offline or os.environ.get("IMPASTO_OFFLINE", "0") not in ("", "0"):
        raise WeightsError(
            f"weights {entry.name} are not on this machine, and the network is not to be used",
            hint=f"get {entry.file} elsewhere and put it into {weights.weights_dir()}",
        )
    target = weights.weights_dir() / entry.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock(target):
            # Another process may have finished while this one waited.
            if (path := _ready(entry)) is not None:
                return path
            target.unlink(missing_ok=True)
            weights.record_path(target).unlink(missing_ok=True)
            source = Source(mirrors(entry), entry.sha256, entry.megabytes * 2_000_000)
            weights.record(target, download(source, target, progress))
    except OSError as error:
        raise _unwritable(target, error) from error
    return target


def _unwritable(target: Path, error: OSError) -> WeightsError | ResourceError:
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return ResourceError(f"could not write {target}: {error.strerror}", hint="free some space")
    return WeightsError(
        f"cannot write to {target.parent}: {error.strerror or error}",
        hint="set IMPASTO_WEIGHTS to a folder that can be written",
    )


def mirrors(entry: Entry) -> tuple[str, ...]:
    """Where to look for a file: the user's mirrors, then those of the entry."""
    own = os.environ.get("IMPASTO_MIRROR", "").split()
    return (*(f"{base.rstrip('/')}/{entry.file}" for base in own), *entry.urls)


def download(source: Source, target: Path, progress: Progress | None = None) -> str:
    """Bring a file to ``target``; an earlier, cut download is continued.

    Returns:
        The sha256 of the file, 64 hex digits.

    Raises:
        WeightsError: No mirror gave the right file; the message has each one's reason.
        ResourceError: The disk is full.
    """
    part = target.with_name(target.name + ".part")
    reasons = []
    for url in source.urls:
        try:
            digest = _from_mirror(url, source, part, progress)
        except _MirrorError as error:
            _log.info("%s: %s", url, error)
            reasons.append(f"{urlsplit(url).netloc or url}: {error}")
            continue
        part.replace(target)
        return digest
    raise WeightsError(
        f"could not get {target.name}: {'; '.join(reasons)}",
        hint=f"put the file into {target.parent} yourself, or set IMPASTO_MIRROR",
    )


class _MirrorError(Exception):
    """A mirror cannot give the file; the text says why."""


def _from_mirror(url: str, source: Source, part: Path, progress: Progress | None) -> str:
    """Try one mirror, going on after cuts; afterwards ``part`` is complete and right."""
    reason = ""
    for _ in range(ATTEMPTS):
        begun = part.stat().st_size if part.exists() else 0
        try:
            digest = _pull(url, part, source.limit, progress)
        except _CutError as error:
            reason = str(error)
            continue
        if digest.startswith(source.sha256):
            return digest
        part.unlink(missing_ok=True)
        reason = f"wrong file, its sha256 is {digest[:12]}..., not {source.sha256[:12]}..."
        if begun == 0:
            break
        # What an earlier run or mirror left may have been at fault: once more, from the start.
    raise _MirrorError(reason)


def _pull(url: str, part: Path, limit: int, progress: Progress | None) -> str:
    """One connection: append to ``part`` what is missing; the sha256 of the whole."""
    have = part.stat().st_size if part.exists() else 0
    opened = _open(url, have)
    if opened is None:
        return weights.sha256_of(part)
    with opened as response:
        resumed = getattr(response, "status", 200) == 206
        have = have if resumed else 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        if (total or 0) > limit:
            raise _MirrorError(f"{total} bytes, more than the {limit} it can have")
        digest = hashlib.sha256()
        if resumed:
            _hash_into(digest, part)
        with part.open("ab" if resumed else "wb") as file:
            for chunk in _chunks(response):
                have += len(chunk)
                if have > limit:
                    raise _MirrorError(f"more than the {limit} bytes it can have")
                digest.update(chunk)
                file.write(chunk)
                if progress is not None:
                    progress(have, total)
            file.flush()
            os.fsync(file.fileno())
    if total is not None and have < total:
        raise _CutError(f"the connection was cut after {have} of {total} bytes")
    return digest.hexdigest()


def _open(url: str, have: int) -> http.client.HTTPResponse | None:
    """Ask for ``url`` from byte ``have`` on; None when the server has nothing after that."""
    from urllib import request  # imports sockets: only when a download begins

    if urlsplit(url).scheme not in ("http", "https", "file"):
        raise _MirrorError("not an http, https or file address")
    headers = {"User-Agent": "impasto", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        found: http.client.HTTPResponse = request.urlopen(
            request.Request(url, headers=headers), timeout=TIMEOUT
        )
    except HTTPError as error:
        error.close()
        if error.code == 416 and have:
            return None
        raise _MirrorError(f"answered {error.code} {error.reason}") from error
    except (URLError, http.client.HTTPException, TimeoutError, ValueError) as error:
        raise _MirrorError(str(getattr(error, "reason", error)) or type(error).__name__) from error
    except OSError as error:
        raise _MirrorError(error.strerror or str(error)) from error
    if have and found.status == 206 and not _starts_at(found, have):
        found.close()
        raise _MirrorError("sent another part than was asked for")
    return found


def _starts_at(response: http.client.HTTPResponse, have: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {have}-")


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise _CutError(f"the connection broke: {error or type(error).__name__}") from error
        if not chunk:
            return
        yield chunk


def _hash_into(digest: _Hash, path: Path) -> None:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)


def _ready(entry: Entry) -> Path | None:
    """A file that is there and right; damaged ones count as missing."""
    for place, path in weights.places(entry):
        if path.is_file():
            with contextlib.suppress(WeightsError):
                weights.verify(weights.Found(entry, path, place))
                return path
    return None


@contextlib.contextmanager
def lock(target: Path) -> Iterator[None]:
    """Hold ``target`` for this process; the lock goes when the process dies, however it dies."""
    path = target.with_name(target.name + ".lock")
    while True:
        file = path.open("ab")
        if _acquired(file) and _same(file, path):
            break
        file.close()
        time.sleep(0.1)
    try:
        yield
    finally:
        # Whoever waits notices that the file they hold is no longer the one of that name.
        with contextlib.suppress(OSError):
            path.unlink()
        file.close()


def _same(file: IO[bytes], path: Path) -> bool:
    try:
        there = path.stat()
    except OSError:
        return False
    mine = os.fstat(file.fileno())
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _acquired(file: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
