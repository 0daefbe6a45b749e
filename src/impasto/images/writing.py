"""Writing pictures: whole or not at all, in sRGB, with the settings inside."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from impasto.errors import ImpastoError, ResourceError, UsageError
from impasto.images import metadata as meta
from impasto.images.encoding import Encoding, encode
from impasto.images.files import shown
from impasto.images.model import Kept, Picture

EXTENSIONS = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".avif": "AVIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
_KNOWN = ", ".join(EXTENSIONS)


@dataclass(frozen=True)
class Saved:
    """What was written.

    Attributes:
        path: The picture; ``None`` for standard output.
        sidecar: The file of settings beside it, if the format needs one.
        format: Format written.
        size: Bytes of the picture.
        notes: What the format could not keep.
    """

    path: Path | None
    sidecar: Path | None
    format: str
    size: int
    notes: tuple[str, ...]


def save(
    picture: Picture | npt.NDArray[np.floating[Any]],
    path: str | Path,
    *,
    alpha: npt.NDArray[np.floating[Any]] | None = None,
    metadata: dict[str, Any] | None = None,
    quality: int = 95,
    force: bool = False,
    format: str | None = None,
    bits: int = 8,
    keep: Kept | None = None,
) -> Saved:
    """Write a picture under its final name only when all of it is on the disk.

    Nothing of the input's EXIF is carried over but what ``keep`` holds; the file has an sRGB
    profile and ``metadata``.
    Values are clamped to [0, 1] and rounded half up.

    Args:
        picture: A picture, or its colours ``(H, W, 3)``, sRGB in [0, 1].
        path: Where to; the extension gives the format. ``"-"`` is standard output.
        alpha: ``(H, W)`` in [0, 1]; instead of the picture's own. JPEG has none: the picture is
            laid on white.
        metadata: Settings, as JSON allows them.
        quality: 1 to 100, for JPEG, WebP and AVIF.
        force: Replace an existing file.
        format: ``"PNG"``, ``"JPEG"``, ``"WEBP"``, ``"AVIF"`` or ``"TIFF"``, whatever the
            extension; PNG if not given for standard output.
        bits: 8, or 16 for PNG and TIFF.
        keep: Artist, copyright and colour profile of a source; the values are converted to the
            profile, with 8 bits.

    Returns:
        What was written where.

    Raises:
        UsageError: The file exists, the name or an option makes no sense.
        ResourceError: The disk is full.
        ImpastoError: The values are not finite, or writing failed.
    """
    kind = check_writable(path, force=force, format=format)
    rgb = picture.rgb if isinstance(picture, Picture) else picture
    if alpha is None and isinstance(picture, Picture):
        alpha = picture.alpha
    encoded = encode(
        rgb, alpha, metadata, Encoding(kind, quality=quality, bits=bits, keep=keep or Kept())
    )
    if str(path) == "-":
        _to_stdout(encoded.data)
        return Saved(None, None, kind, len(encoded.data), encoded.notes)
    target = Path(os.path.realpath(path))  # a link is written through, not replaced
    sidecar = None
    if metadata is not None and not encoded.holds_metadata:
        sidecar = meta.sidecar_path(target)
        _check_target(sidecar, force=force)
    _commit(target, encoded.data, force=force)
    if sidecar is not None and metadata is not None:
        _commit(sidecar, meta.sidecar_bytes(metadata, encoded.data), force=force)
    return Saved(Path(path), sidecar, kind, len(encoded.data), encoded.notes)


def save_bytes(data: bytes, path: str | Path, *, force: bool = False) -> None:
    """Write a file that is no picture, whole or not at all.

    Args:
        data: All of it.
        path: Where to.
        force: Replace an existing file.

    Raises:
        UsageError: The file exists, or cannot stand there.
        ResourceError: The disk is full.
        ImpastoError: Writing failed.
    """
    _check_target(Path(path), force=force)
    _commit(Path(os.path.realpath(path)), data, force=force)


def check_writable(path: str | Path, *, force: bool = False, format: str | None = None) -> str:
    """Find out before the work whether its result can be written; writes nothing.

    Args:
        path: As for :func:`save`.
        force: An existing file may be replaced.
        format: As for :func:`save`.

    Returns:
        The format that will be written.

    Raises:
        UsageError: Unknown extension or format, an existing file without ``force``, a folder or
            device of that name, a missing or read-only parent folder.
    """
    kind = _format(path, format)
    if str(path) != "-":
        _check_target(Path(path), force=force)
    return kind


def _format(path: str | Path, format: str | None) -> str:
    if format is not None:
        kind = {"JPG": "JPEG", "TIF": "TIFF"}.get(format.upper(), format.upper())
        if kind not in EXTENSIONS.values():
            names = ", ".join(sorted(set(EXTENSIONS.values())))
            raise UsageError(f"impasto does not write {shown(format)}", hint=f"it writes {names}")
        return kind
    if str(path) == "-":
        return "PNG"
    extension = Path(path).suffix.lower()
    if extension not in EXTENSIONS:
        what = f"the extension {shown(extension)}" if extension else "a name without extension"
        raise UsageError(
            f"{shown(str(path))}: {what} is no picture format", hint=f"use one of {_KNOWN}"
        )
    return EXTENSIONS[extension]


def _check_target(path: Path, *, force: bool) -> None:
    name = shown(str(path))
    try:
        status = path.stat()
    except FileNotFoundError:
        _check_parent(path)
        return
    except NotADirectoryError:
        raise UsageError(f"{name}: a file stands where a folder should be") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name} cannot be written: {reason}") from None
    if stat.S_ISDIR(status.st_mode):
        raise UsageError(f"{name} is a folder", hint="name a file in it")
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{name} is a device", hint="- writes to standard output")
    if not force:
        raise _exists(path)
    _check_parent(path)


def _check_parent(path: Path) -> None:
    parent = Path(os.path.realpath(path)).parent
    if not parent.is_dir():
        raise UsageError(
            f"the folder {shown(str(parent))} does not exist", hint=f"mkdir -p {shown(str(parent))}"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"the folder {shown(str(parent))} may not be written to")


def _exists(path: Path) -> UsageError:
    return UsageError(f"{shown(str(path))} exists already", hint="--force replaces it")


def _commit(path: Path, data: bytes, *, force: bool) -> None:
    """Write under a temporary name, then give the final one in a single step."""
    # Not derived from the final name: that may be as long as the file system allows.
    draft = path.with_name(f".impasto-{secrets.token_hex(8)}.part")
    try:
        try:
            _write_synced(draft, data)
            _publish(draft, path, force=force)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError:
        raise _exists(path) from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(f"no space left to write {shown(str(path))}") from error
        raise ImpastoError(
            f"{shown(str(path))} could not be written: {error.strerror or error}"
        ) from error


def _write_synced(path: Path, data: bytes) -> None:
    # "x": fails if the name exists. The mode is left to the umask, unlike that of mkstemp.
    with path.open("xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _publish(draft: Path, path: Path, *, force: bool) -> None:
    if force:
        draft.replace(path)
        return
    try:
        os.link(draft, path)  # fails if the name exists: no gap between looking and writing
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: claim the name, then fill it
        path.open("xb").close()
        draft.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system allows to open a folder."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # some network file systems refuse; the picture itself is synced
        return
    finally:
        os.close(handle)


def _to_stdout(data: bytes) -> None:
    stream = sys.stdout.buffer
    try:
        stream.write(data)
        stream.flush()
    except OSError as error:
        raise ImpastoError(f"standard output: {error.strerror or error}") from error
