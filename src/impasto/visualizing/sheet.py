"""Many small pictures on one sheet, each with its name."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Pixels = npt.NDArray[np.uint8]

PAPER, INK = (255, 255, 255), (40, 40, 40)
#: Between pictures, px.
GAP = 6
#: Widest row, px; at least one picture.
WIDEST = 3600


def columns_for(count: int, width: int) -> int:
    """Pictures per row, so that the sheet is about as wide as it is high."""
    fit = max(1, (WIDEST + GAP) // (width + GAP))
    return min(count, fit, max(1, math.ceil(math.sqrt(count * 1.2))))


def sheet(
    pictures: Sequence[Pixels], titles: Sequence[str], columns: int | None = None
) -> Image.Image:
    """Pictures (H, W, 3) of one size in rows, their titles below.

    Args:
        pictures: At least one.
        titles: One per picture; "" writes nothing. With no title at all there is no line.
        columns: Pictures per row; as many as make it about square if not given.
    """
    height, width = pictures[0].shape[:2]
    columns = columns or columns_for(len(pictures), width)
    size = max(9, min(16, width // 9))
    line = round(1.5 * size) if any(titles) else 0
    rows = -(-len(pictures) // columns)
    step = (width + GAP, height + line + GAP)
    whole = Image.new("RGB", (columns * step[0] - GAP, rows * step[1] - GAP), PAPER)
    draw = ImageDraw.Draw(whole)
    font = ImageFont.load_default(size)
    for place, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        x, y = place % columns * step[0], place // columns * step[1]
        whole.paste(Image.fromarray(picture), (x, y))
        text = shortened(title, font, width)
        draw.text((x + width / 2, y + height + line / 2), text, fill=INK, font=font, anchor="mm")
    return whole


def shortened(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """``text``, or as much of its beginning as fits into ``width`` px."""
    if font.getlength(text) <= width:
        return text
    kept = text
    while kept and font.getlength(kept + "...") > width:
        kept = kept[:-1]
    return kept + "..."
