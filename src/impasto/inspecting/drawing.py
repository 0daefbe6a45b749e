"""What the sheet is drawn with: paper, ink, one typeface, and a few small pictures."""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from impasto.inspecting.colormaps import NOTHING, coloured

Colour = tuple[int, int, int]
Box = tuple[int, int, int, int]

PAPER: Colour = (248, 245, 239)
INK: Colour = (33, 30, 36)
MUTED: Colour = (122, 115, 116)
RULE: Colour = (218, 212, 202)
ACCENT: Colour = (196, 58, 84)

#: Share of the cells of a map that may reach the end of the colours.
BRIGHTEST = 0.005
#: What the typeface that Pillow brings has beyond ASCII.
_GLYPHS = "\u00ab\u00a9\u00b0\u00b1\u00b4\u00b7\u00bb\u2018\u2019\u201c\u201d\u2026\u2039\u203a"


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own typeface at ``size`` px."""
    found = ImageFont.load_default(size)
    if not isinstance(found, ImageFont.FreeTypeFont):  # Pillow was built without FreeType
        raise OSError("Pillow has no FreeType here")
    return found


def writable(text: str) -> str:
    """``text`` with what the typeface has: accents go, other signs become question marks."""
    plain = unicodedata.normalize("NFKD", text)
    kept = (c for c in plain if not unicodedata.combining(c))
    return "".join(c if (" " <= c <= "~" or c in _GLYPHS) else "?" for c in kept)


def width_of(text: str, size: int) -> int:
    """Of a line, px."""
    return round(font(size).getlength(text))


def fitted(text: str, size: int, width: int) -> str:
    """``text`` as it can be written in ``width`` px: the middle of a long one is left out."""
    text = writable(text)
    if width_of(text, size) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        short = text[: keep - keep // 2] + "\u2026" + text[len(text) - keep // 2 :]
        if width_of(short, size) <= width:
            return short
    return "\u2026"


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int = 15,
    colour: Colour = INK,
    *,
    right: bool = False,
    width: int = 10_000,
) -> None:
    """A line; ``place`` is the left (or right) end of its baseline.

    Args:
        draw: Where.
        place: x and y, px.
        text: Characters that the typeface lacks are replaced.
        size: Of the letters, px.
        colour: Of the ink.
        right: Whether the line ends at ``place``.
        width: What does not fit into this is left out in the middle.
    """
    line = fitted(text, size, width)
    draw.text(place, line, fill=colour, font=font(size), anchor="rs" if right else "ls")


def wrapped(text: str, size: int, width: int) -> list[str]:
    """``text`` as lines of at most ``width`` px, broken at blanks."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(writable(longer), size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def paper(width: int, height: int) -> Image.Image:
    """An empty sheet."""
    return Image.new("RGB", (width, max(1, height)), PAPER)


def stacked(parts: list[Image.Image], gap: int) -> Image.Image:
    """Pictures of one width below each other."""
    whole = paper(parts[0].width, sum(p.height for p in parts) + gap * (len(parts) - 1))
    y = 0
    for part in parts:
        whole.paste(part, (0, y))
        y += part.height + gap
    return whole


def photo_image(image: npt.NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """A picture (H, W, 3) in [0, 1] at ``size`` (width, height)."""
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)


def map_image(values: npt.NDArray[np.float32], size: tuple[int, int]) -> Image.Image:
    """Numbers (H, W) as colours at ``size`` (width, height), scaled by their own magnitude.

    What is shrunk is averaged; what grows keeps its cells, so that they can be counted. The
    strongest cells (:data:`BRIGHTEST`) have the brightest colour, as one alone may be an outlier.
    """
    width, height = min(size[0], values.shape[1]), min(size[1], values.shape[0])
    if (height, width) != values.shape:
        smaller = Image.fromarray(values).resize((width, height), Image.Resampling.BOX)
        values = np.asarray(smaller, np.float32)
    signed = bool(np.nanmin(values) < 0)
    most = float(np.nanquantile(np.abs(values), 1 - BRIGHTEST)) or float(np.nanmax(np.abs(values)))
    picture = Image.fromarray(coloured(values, -most if signed else 0.0, most))
    return picture.resize(size, Image.Resampling.NEAREST)


def legend(width: int, height: int, *, signed: bool) -> Image.Image:
    """The colours from 0 (or the most negative) to the greatest value."""
    ramp = np.linspace(-1 if signed else 0, 1, width)
    return Image.fromarray(coloured(np.tile(ramp, (height, 1)), ramp[0], 1))


def draw_histogram(
    draw: ImageDraw.ImageDraw, box: Box, counts: npt.NDArray[np.int64], zero: float
) -> None:
    """Bars whose heights are the logarithms of ``counts``.

    Args:
        draw: Where.
        box: Left, top, right and bottom, px.
        counts: One per bar.
        zero: Where 0 lies, from 0 (left) to 1; drawn as a line where it is inside.
    """
    left, top, right, bottom = box
    draw.line([(left, bottom), (right - 1, bottom)], fill=MUTED)
    heights = np.log1p(counts) / max(1e-9, float(np.log1p(counts.max(initial=0))))
    edges = np.linspace(left, right, len(counts) + 1).round().astype(int)
    for i, share in enumerate(heights):
        if share > 0:
            y = round(bottom - share * (bottom - top))
            draw.rectangle([edges[i], y, max(edges[i], edges[i + 1] - 1), bottom], fill=INK)
    if 0 < zero < 1:
        x = round(left + zero * (right - left))
        draw.line([(x, top), (x, bottom)], fill=ACCENT)


def spotlight(photo: Image.Image, edge: float | None) -> Image.Image:
    """``photo`` darkened but for a square of ``edge`` px in its middle; None lights everything."""
    width, height = photo.size
    if edge is None or edge >= max(width, height):
        return photo.copy()
    half = max(edge, 3) / 2
    box = (
        max(0, round(width / 2 - half)),
        max(0, round(height / 2 - half)),
        min(width, round(width / 2 + half)),
        min(height, round(height / 2 + half)),
    )
    dark = Image.blend(photo, Image.new("RGB", photo.size, PAPER), 0.68)
    dark.paste(photo.crop(box), box[:2])
    frame = (box[0] - 1, box[1] - 1, box[2], box[3])
    ImageDraw.Draw(dark).rectangle(frame, outline=ACCENT)
    return dark


def gram_image(gram: npt.NDArray[np.float32], size: int, decades: float = 4) -> Image.Image:
    """A Gram matrix (C, C) as a square of ``size`` px.

    Rows and columns are sorted by the channels' energy (the diagonal), the strongest first; the
    colour is the logarithm of the magnitude, from the maximum down by ``decades``.
    """
    order = np.argsort(-np.diag(gram), kind="stable")
    strength = np.abs(gram[np.ix_(order, order)]).astype(np.float64)
    most = float(strength.max())
    if most <= 0:
        return Image.new("RGB", (size, size), NOTHING)
    depth = np.log10(np.maximum(strength / most, 10.0**-decades)) / decades + 1
    return map_image(depth.astype(np.float32), (size, size))
