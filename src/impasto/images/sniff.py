"""Which kind of file these bytes begin. Nothing is decoded here."""

from __future__ import annotations

HEAD_BYTES = 64
READABLE = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")

_PICTURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),  # BigTIFF
    (b"MM\x00+", "TIFF"),
    (b"BM", "BMP"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}

# Other things that people hand to a program that wants a picture: naming them saves a search.
_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"8BPS", "a Photoshop document"),
    (b"gimp xcf", "a GIMP document"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"#?RADIANCE", "a Radiance HDR picture"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML file"),
    (b"<!doctype html", "a web page"),
    (b"<html", "a web page"),
)


def sniff(head: bytes) -> str | None:
    """The format whose signature ``head`` carries.

    Args:
        head: The first :data:`HEAD_BYTES` bytes of a file, or all of it if it is shorter.

    Returns:
        One of :data:`READABLE`, or ``None``.
    """
    for magic, name in _PICTURES:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return None


def _brand(head: bytes) -> str | None:
    """AVIF or HEIF, from the major and the compatible brands of an ISO media file."""
    size = int.from_bytes(head[:4], "big")
    body = head[8 : min(size, len(head))]
    brands = [body[:4]] + [body[i : i + 4] for i in range(8, len(body) - 3, 4)]
    if b"avif" in brands or b"avis" in brands:
        return "AVIF"
    return "HEIF" if any(brand in _HEIF_BRANDS for brand in brands) else None


def describe(head: bytes) -> str:
    """What a file is that :func:`sniff` does not know ("a PDF"), or the empty string."""
    text = head.lstrip().lower()
    for magic, name in _OTHERS:
        if head.startswith(magic) or text.startswith(magic.lower()):
            return name
    return "a video" if head[4:8] == b"ftyp" else ""
