"""Settings inside a picture, or beside it where the format would lose them.

PNG: an iTXt chunk called ``impasto``. JPEG and WebP: the EXIF UserComment. AVIF, TIFF, and JPEG
or WebP with more than an EXIF block holds: a file ``NAME.EXT.json`` beside the picture, bound
to it by the digest of its bytes, so that settings never stick to another picture of that name.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from impasto.errors import InputError, UsageError
from impasto.images import png
from impasto.images.files import Blob, fetch, shown
from impasto.images.model import Limits
from impasto.images.quiet import calm

KEYWORD = "impasto"
EXIF_LIMIT = 60_000  # bytes of text; an APP1 segment holds 65 533 with its directories
READ_LIMIT = 64 * 1024
MAX_LIMIT = 1024 * 1024
MAX_DEPTH = 8

_ASCII = b"ASCII\0\0\0"


def to_text(metadata: dict[str, Any]) -> str:
    """Metadata as compact ASCII JSON.

    Raises:
        UsageError: A value that JSON does not have (NaN among them).
    """
    try:
        return json.dumps(metadata, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the settings cannot be written as JSON: {error}") from error


def from_text(text: bytes | str) -> dict[str, Any] | None:
    """JSON as metadata; ``None`` if it is not an object of depth 8 or less, or malformed."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and _depth(value) <= MAX_DEPTH else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _depth(value: object) -> int:
    deepest, stack = 0, [(value, 1)]
    while stack:
        node, depth = stack.pop()
        if not isinstance(node, dict | list):
            continue
        deepest = max(deepest, depth)
        children = node.values() if isinstance(node, dict) else node
        stack += [(child, depth + 1) for child in children]
    return deepest


def exif_block(text: str) -> Image.Exif:
    """An EXIF block that holds ``text`` as UserComment, and nothing else but the software."""
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = KEYWORD
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = _ASCII + text.encode("ascii")
    return exif


def sidecar_path(path: Path) -> Path:
    """``NAME.EXT.json`` beside ``NAME.EXT``."""
    return path.with_name(path.name + ".json")


def sidecar_bytes(metadata: dict[str, Any], picture: bytes) -> bytes:
    """Content of the file beside a picture whose bytes are ``picture``."""
    bound = {"picture_sha256": hashlib.sha256(picture).hexdigest(), KEYWORD: metadata}
    to_text(metadata)
    return (json.dumps(bound, indent=2, ensure_ascii=False) + "\n").encode()


def read_metadata(path: str | Path, *, limit: int = READ_LIMIT) -> dict[str, Any] | None:
    """The settings that :func:`impasto.images.save` put into or beside a picture.

    Args:
        path: A picture file.
        limit: Most bytes of text that are parsed; at most 1 MiB.

    Returns:
        The settings, or ``None`` if there are none, or none that can be understood.

    Raises:
        InputError: The file cannot be read or is no picture, or its text is over the limit.
        ValueError: ``limit`` is over 1 MiB or negative.
    """
    if not 0 <= limit <= MAX_LIMIT:
        raise ValueError(f"limit must be within 0..{MAX_LIMIT}, got {limit}")
    blob = fetch(path, Limits())
    text = _inside(blob, limit)
    if text is None and blob.name != "-":
        return _beside(blob, limit)
    return None if text is None else from_text(_within(text, limit, blob.name))


def _within(text: bytes, limit: int, name: str) -> bytes:
    if len(text) > limit:
        raise InputError(f"the settings in {shown(name)} are longer than {limit} bytes")
    return text


def _inside(blob: Blob, limit: int) -> bytes | None:
    if blob.format == "PNG":
        return _png_text(blob.data, limit)
    if blob.format in ("JPEG", "WEBP"):
        return _exif_text(blob)
    return None


def _png_text(data: bytes, limit: int) -> bytes | None:
    prefix = KEYWORD.encode() + b"\0"
    try:
        for kind, body in png.chunks(data):
            if kind == b"iTXt" and body.startswith(prefix):
                return _itxt_text(body[len(prefix) :], limit)
    except (ValueError, zlib.error):
        return None
    return None


def _itxt_text(body: bytes, limit: int) -> bytes | None:
    """Text of an iTXt body after its keyword; inflates no more than one byte over the limit."""
    fields = body[2:].split(b"\0", 2)
    if len(body) < 2 or len(fields) < 3:
        return None
    return zlib.decompressobj().decompress(fields[2], limit + 1) if body[0] else fields[2]


def _exif_text(blob: Blob) -> bytes | None:
    try:
        with calm():
            image = Image.open(io.BytesIO(blob.data), formats=[blob.format])
            comment = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except Exception:  # EXIF readers raise nearly anything on damaged blocks: no settings then
        return None
    if not isinstance(comment, bytes) or not comment.startswith(_ASCII + b"{"):
        return None
    return comment[len(_ASCII) :]


def _beside(blob: Blob, limit: int) -> dict[str, Any] | None:
    path = sidecar_path(Path(blob.name))
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_LIMIT * 2)
    except (OSError, ValueError):
        return None
    bound = from_text(_within(text, limit * 2, str(path)))
    if bound is None or bound.get("picture_sha256") != hashlib.sha256(blob.data).hexdigest():
        return None
    settings = bound.get(KEYWORD)
    return settings if isinstance(settings, dict) else None
