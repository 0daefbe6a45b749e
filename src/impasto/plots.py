"""A picture of loss curves, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby, pairwise

from PIL import Image, ImageDraw, ImageFont

from impasto.records import Row, terms_of

SIZE = (960, 540)
#: Left, top, right and bottom of the field, px.
FIELD = (78, 44, 936, 490)
#: Lines that can be told apart, also by most of the colour-blind (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#b59f00")
INK, GRID, EDGE = "#202020", "#e4e4e4", "#9a9a9a"
#: Least and greatest number of decades on the axis of values; what is below runs along it.
DECADES = (1, 8)


def plot(rows: Sequence[Row], title: str = "") -> Image.Image:
    """The weighted terms and their sum over the steps, values on a logarithmic axis.

    Args:
        rows: Of :class:`impasto.records.Log`. Values that are not positive are left out; of a
            term that is never positive (an excitation that is raised) the magnitude is drawn,
            with a minus before its name.
        title: A line above.

    Returns:
        An RGB picture of :data:`SIZE`.
    """
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    names = [*terms_of(list(rows)), "loss"]
    turned = {n for n in names if all(row.get(n, 0) <= 0 for row in rows)} if rows else set()
    rows = [{n: -v if n in turned else v for n, v in row.items()} for row in rows]
    low, high = _range([row[n] for row in rows for n in names if n in row])
    across = _across(len(rows))
    _grid(draw, low, high, rows)
    for index, name in enumerate(names):
        colour = INK if name == "loss" else COLOURS[index % len(COLOURS)]
        for _, part in groupby(enumerate(rows), key=lambda place: place[1]["scale"]):
            points = [
                (across(i), _height(row[name], low, high))
                for i, row in part
                if row.get(name, 0) > 0 and math.isfinite(row[name])
            ]
            if len(points) == 1:
                draw.circle(points[0], 2, fill=colour)
            draw.line(points, fill=colour, width=3 if name == "loss" else 2, joint="curve")
    draw.rectangle(FIELD, outline=EDGE)
    _legend(draw, [f"-{n}" if n in turned else n for n in names])
    draw.text((FIELD[0], 14), title, fill=INK, font=_font(15))
    return image


def _range(values: Sequence[float]) -> tuple[int, int]:
    """Decades that hold the positive values, as exponents of ten."""
    good = sorted(v for v in values if v > 0 and math.isfinite(v))
    if not good:
        return -1, 0
    high = math.ceil(math.log10(good[-1]))
    # The first content loss of a run that begins with the photo is nearly 0 and would flatten all.
    low = math.floor(math.log10(good[len(good) // 50]))
    return max(min(low, high - DECADES[0]), high - DECADES[1]), high


def _across(count: int) -> _Axis:
    return _Axis(FIELD[0], FIELD[2], max(1, count - 1))


class _Axis:
    """Number of a row to its place, px."""

    def __init__(self, left: float, right: float, last: int) -> None:
        self.left, self.step = left, (right - left) / last

    def __call__(self, index: float) -> float:
        return self.left + self.step * index


def _height(value: float, low: int, high: int) -> float:
    share = (math.log10(value) - low) / (high - low)
    return FIELD[3] - min(1.0, max(0.0, share)) * (FIELD[3] - FIELD[1])


def _grid(draw: ImageDraw.ImageDraw, low: int, high: int, rows: Sequence[Row]) -> None:
    """Decades across, steps along, and a line where a scale begins."""
    left, top, right, bottom = FIELD
    font, across = _font(13), _across(len(rows))
    for exponent in range(low, high + 1):
        y = _height(10.0**exponent, low, high)
        draw.line((left, y, right, y), fill=GRID)
        draw.text((left - 8, y), f"{10.0**exponent:g}", fill=INK, font=font, anchor="rm")
    every = _pace(len(rows))
    for step in range(every, len(rows) + 1, every):
        x = across(step - 1)
        draw.line((x, top, x, bottom), fill=GRID)
        draw.text((x, bottom + 6), str(step), fill=INK, font=font, anchor="mt")
    draw.text(((left + right) / 2, SIZE[1] - 18), "step", fill=INK, font=font, anchor="mm")
    begins = [i for i, (a, b) in enumerate(pairwise(rows), 1) if a["scale"] != b["scale"]]
    for index, number in zip([0, *begins], dict.fromkeys(r["scale"] for r in rows), strict=False):
        x = across(index - 0.5) if index else left
        draw.line((x, top, x, bottom), fill=EDGE)
        draw.text((x + 5, bottom - 6), f"scale {number}", fill=EDGE, font=font, anchor="ls")


def _pace(count: int) -> int:
    """Steps from one label to the next: 1, 2 or 5 times a power of ten, ten labels at most."""
    least = max(1, count / 10)
    power = 10 ** math.floor(math.log10(least))
    return int(next(m * power for m in (1, 2, 5, 10) if m * power >= least))


def _legend(draw: ImageDraw.ImageDraw, names: Sequence[str]) -> None:
    """Names in the colours of their lines, in the upper right corner above the field."""
    font, x = _font(14), float(FIELD[2])
    for index, name in reversed(list(enumerate(names))):
        total = name.strip("-") == "loss"
        colour = INK if total else COLOURS[index % len(COLOURS)]
        text = name.replace("loss", "sum") if total else name
        x -= draw.textlength(text, font=font)
        draw.text((x, 23), text, fill=INK, font=font, anchor="lm")
        draw.line((x - 26, 23, x - 7, 23), fill=colour, width=4)
        x -= 44


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
