"""Files by the digest of their content: written whole or not at all, never changed.

Names on disk are made here; nothing that a client says becomes part of a path.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from impasto.errors import InputError, ResourceError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ENDING = re.compile(r"[a-z0-9]{1,11}")
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Kept:
    """A file in the vault.

    Attributes:
        sha256: Of its bytes.
        ending: Of its name, without the dot.
        size: In bytes.
    """

    sha256: str
    ending: str
    size: int


class Vault:
    """The files of a studio.

    Args:
        root: Where they are; made if it is not there.
        reserve: With less free space, in bytes, nothing new is taken.
    """

    def __init__(self, root: Path, reserve: int = 0) -> None:
        self.root = root.resolve()
        self.reserve = reserve
        for name in ("pictures", "derived", "incoming", "jobs"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        for left in (self.root / "incoming").iterdir():  # of a server that was killed
            left.unlink(missing_ok=True)

    def check_space(self, wanted: int = 0) -> None:
        """Refuse early what would fill the disk.

        Raises:
            ResourceError: Less than the reserve would be left.
        """
        if shutil.disk_usage(self.root).free - wanted < self.reserve:
            raise ResourceError(
                "the disk is nearly full", hint="remove something from the history, or make room"
            )

    def path(self, sha256: str, ending: str) -> Path:
        """Where the file with this content is.

        Raises:
            InputError: Not a digest, or not an ending.
        """
        return self._inside(Path("pictures") / sha256[:2], f"{_digest(sha256)}.{_end(ending)}")

    def derived(self, sha256: str, what: str, ending: str) -> Path:
        """Where something made from a file is kept, such as its thumbnail."""
        return self._inside(Path("derived") / sha256[:2], f"{_digest(sha256)}-{what}.{ending}")

    def job(self, job_id: str) -> Path:
        """The folder of a job."""
        return self._inside(Path("jobs"), _plain(job_id))

    def incoming(self) -> Incoming:
        """A file that arrives piece by piece."""
        return Incoming(self)

    def adopt(self, path: Path) -> Kept:
        """Keep a file that was written in whole elsewhere in the same folder of the studio.

        Raises:
            ResourceError: The disk does not take it.
        """
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        kept = Kept(digest, path.suffix[1:].lower(), path.stat().st_size)
        target = self.path(digest, kept.ending)
        if not target.exists():
            with told(), self.incoming() as draft:
                link_or_copy(path, draft.path)
                draft.publish(target)
        return kept

    def remove(self, sha256: str, ending: str) -> None:
        """Forget a file and what was made from it."""
        self.path(sha256, ending).unlink(missing_ok=True)
        folder = self.root / "derived" / sha256[:2]
        for made in folder.glob(f"{_digest(sha256)}-*") if folder.is_dir() else ():
            made.unlink(missing_ok=True)

    def remove_job(self, job_id: str) -> None:
        """Remove the folder of a job."""
        shutil.rmtree(self.job(job_id), ignore_errors=True)

    def _inside(self, folder: Path, name: str) -> Path:
        parent = self.root / folder
        path = parent / name
        if parent.resolve() != parent or not path.is_relative_to(self.root) or path.is_symlink():
            raise InputError("that is not a place of this studio")
        return path


class Incoming:
    """A file on its way into the vault; gone unless it is committed.

    Attributes:
        path: Its temporary name.
        size: Bytes so far.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.path = vault.root / "incoming" / secrets.token_hex(16)
        self.size = 0
        self._digest = hashlib.sha256()
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Append.

        Raises:
            ResourceError: The disk is full.
        """
        with told():
            if self._fd < 0:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            view = memoryview(data)
            while view:
                view = view[os.write(self._fd, view) :]
        self._digest.update(data)
        self.size += len(data)

    def commit(self, ending: str) -> Kept:
        """Keep what has arrived.

        Raises:
            ResourceError: The disk is full.
        """
        kept = Kept(self._digest.hexdigest(), ending, self.size)
        target = self._vault.path(kept.sha256, kept.ending)
        if not target.exists():
            with told():
                self.publish(target)
        return kept

    def publish(self, target: Path) -> None:
        """Give the file its final name in one step, durably."""
        sync(self.path)
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            sync(target.parent.parent)
        self.path.replace(target)
        sync(target.parent)


@contextlib.contextmanager
def told() -> Iterator[None]:
    """A full disk becomes one line for a person.

    Raises:
        ResourceError: In place of any OSError.
    """
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno in _FULL else error.strerror
        raise ResourceError(f"the studio cannot write: {reason}") from error


def link_or_copy(source: Path, target: Path) -> None:
    """The same content under a second name; a copy where links are not possible."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        shutil.copyfile(source, target)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file in one step, durably.

    Raises:
        ResourceError: The disk does not take it.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with told():
            part.write_bytes(data)
            sync(part)
            part.replace(path)
            sync(path.parent)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def png_size(path: Path) -> tuple[int | None, int | None]:
    """Width and height from the header of a PNG; nothing of another file."""
    with path.open("rb") as file:
        head = file.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n":
        return None, None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _digest(text: str) -> str:
    if not _DIGEST.fullmatch(text):
        raise InputError("that is not a picture of this studio")
    return text


def _end(text: str) -> str:
    if not _ENDING.fullmatch(text):
        raise InputError("that is not the ending of a picture's name")
    return text


def _plain(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        raise InputError("that is not a job of this studio")
    return text
