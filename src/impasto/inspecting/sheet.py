"""The contact sheet: photo, classes, a band per layer, Gram matrices; one tall picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from impasto import __version__
from impasto.inspecting.drawing import (
    ACCENT,
    INK,
    MUTED,
    RULE,
    Box,
    draw_histogram,
    gram_image,
    legend,
    map_image,
    paper,
    photo_image,
    spotlight,
    stacked,
    wrapped,
    write,
)
from impasto.inspecting.measure import ClassGuess, FeatureMap, LayerView

FloatArray = npt.NDArray[np.float32]

#: What the sheet calls a picture that is no file.
NAMELESS = "a picture"
#: Of the sheet, px.
WIDTH, MARGIN = 1600, 64
INNER = WIDTH - 2 * MARGIN
#: Width of the column with a layer's facts, and the space beside it.
FACTS, GUTTER = 236, 28
#: Between feature maps, and the height of the line below each.
GAP, CAPTION = 10, 20
#: Height that a band of feature maps aims at, the widest map, and the cost of ragged rows.
BAND, WIDEST, RAGGED = 270, 300, 1.2
#: Least width of a feature map, and of one that has two numbers below it.
LEAST, ROOMY = 44, 84
#: Least width of the photo with its caption, and height of the classes.
NARROWEST, CLASSES = 250, 290
#: Edge of a Gram matrix, and their number per row.
GRAM, GRAMS = 256, 5


@dataclass(frozen=True, eq=False)
class Inversion:
    """A picture rebuilt from one layer.

    Attributes:
        layer: Which one.
        image: (H, W, 3) in [0, 1].
        error: Squared distance of the features over their squared size.
    """

    layer: str
    image: FloatArray
    error: float


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the sheet shows.

    Attributes:
        name: Of the picture.
        photo: (H, W, 3) in [0, 1], as the network saw it.
        backbone: Name of the network.
        title: The network's architecture, for people.
        views: The layers, shallow to deep.
        fields: Receptive field of each, px; None for the whole picture.
        classes: Best first; empty if the picture was not classified.
        classifier: What named them.
        inversion: If there is one.
        grams: Whether the Gram matrices are shown.
    """

    name: str
    photo: FloatArray
    backbone: str
    title: str
    views: tuple[LayerView, ...]
    fields: dict[str, int | None]
    classes: tuple[ClassGuess, ...] = ()
    classifier: str = ""
    inversion: Inversion | None = None
    grams: bool = False


def draw_sheet(found: Findings) -> Image.Image:
    """The sheet, RGB, :data:`WIDTH` px wide and as high as it needs."""
    parts = [heading(found), opening(found)]
    parts += [layer_band(view, found) for view in found.views]
    if found.grams and any(view.gram is not None for view in found.views):
        parts.append(gram_band(found.views))
    parts.append(closing(found))
    inner = stacked(parts, 36)
    sheet = paper(WIDTH, inner.height + 2 * MARGIN)
    sheet.paste(inner, (MARGIN, MARGIN))
    return sheet


def heading(found: Findings) -> Image.Image:
    """Title and what the picture is."""
    part = paper(INNER, 88)
    draw = ImageDraw.Draw(part)
    write(draw, (-2, 42), f"What {found.backbone} sees", 46, width=INNER)
    height, width = found.photo.shape[:2]
    about = f"in {found.name}, at {width} x {height} px"
    about += f"  \u00b7  {found.title}" if found.title else ""
    write(draw, (0, 80), about, 19, MUTED, width=INNER)
    return part


def opening(found: Findings) -> Image.Image:
    """The photo, the picture rebuilt from a layer if there is one, and the classes."""
    shown = 2 if found.inversion else 1
    height, width = found.photo.shape[:2]
    most = (INNER - 420 - shown * 32) // shown if found.classes else (INNER - 32) // 2
    size = _fit((width, height), (min(most, 640), 400))
    step = max(size[0], NARROWEST) + 32
    part = paper(INNER, max(size[1] + 26, CLASSES if found.classes else 0))
    draw = ImageDraw.Draw(part)
    part.paste(photo_image(found.photo, size), (0, 0))
    caption = "the photo"
    if found.classes:
        edge = min(size)
        left, top = (size[0] - edge) // 2, (size[1] - edge) // 2
        _outline(draw, (left, top, left + edge, top + edge), size)
        caption = "the photo; the square is classified"
    write(draw, (0, size[1] + 20), caption, 14, MUTED, width=step - 16)
    if found.inversion is not None:
        x = step
        part.paste(photo_image(found.inversion.image, size), (x, 0))
        error = percent(found.inversion.error)
        text = f"{found.inversion.layer} alone, feature error {error}"
        write(draw, (x, size[1] + 20), text, 14, MUTED, width=step - 16)
    if found.classes:
        _classes(draw, (shown * step + 16, 0, INNER, max(size[1], CLASSES)), found)
    return part


def _classes(draw: ImageDraw.ImageDraw, box: Box, found: Findings) -> None:
    """A bar for each class, as long as it is probable."""
    left, top, right, bottom = box
    write(draw, (left, top + 19), "What it is", 22, width=right - left)
    write(draw, (left, top + 42), f"says {found.classifier}", 14, MUTED, width=right - left)
    step = min(66, (bottom - top - 56) // max(1, len(found.classes)))
    for i, guess in enumerate(found.classes):
        y = top + 56 + i * step + max(16, step - 16)
        write(draw, (left, y - 8), guess.name, 17, width=right - left - 80)
        write(draw, (right, y - 8), percent(guess.probability), 17, MUTED, right=True)
        draw.rectangle([left, y, right - 1, y + 5], fill=RULE)
        long = round((right - left) * guess.probability)
        if long:
            draw.rectangle([left, y, left + long - 1, y + 5], fill=ACCENT if i == 0 else INK)


def layer_band(view: LayerView, found: Findings) -> Image.Image:
    """A layer: its facts at the left, its feature maps beside them."""
    maps = _maps(view, INNER - FACTS - GUTTER, found.photo.shape[1] / found.photo.shape[0])
    facts = _facts(view, found)
    part = paper(INNER, max(maps.height, facts.height) + 20)
    ImageDraw.Draw(part).line([(0, 0), (INNER, 0)], fill=RULE)
    part.paste(facts, (0, 20))
    part.paste(maps, (FACTS + GUTTER, 20))
    return part


def _facts(view: LayerView, found: Findings) -> Image.Image:
    """Name, shape, what a unit sees, and how the activations are distributed."""
    half = (FACTS - 16) // 2
    height, width = found.photo.shape[:2]
    thumb = _fit((width, height), (half, 104))
    part = paper(FACTS, 136 + thumb[1] + 22)
    draw = ImageDraw.Draw(part)
    write(draw, (0, 21), view.name, 28, width=FACTS)
    for i, line in enumerate(fact_lines(view, found.fields.get(view.name))):
        write(draw, (0, 50 + 22 * i), line, 16, INK if i == 0 else MUTED, width=FACTS)
    field = found.fields.get(view.name)
    edge = None if field is None else field * thumb[0] / width
    part.paste(spotlight(photo_image(found.photo, thumb), edge), (0, 132))
    seen = (
        "all"
        if field is None and not view.stride
        else "unknown"
        if field is None
        else f"{field} px"
    )
    write(draw, (0, 132 + thumb[1] + 18), f"sees {seen}", 13, MUTED, width=half)
    low, high = view.stats.min, view.stats.max
    zero = -low / (high - low) if high > low else 0.0
    draw_histogram(draw, (half + 16, 132, FACTS, 132 + thumb[1] - 1), view.counts, zero)
    write(draw, (half + 16, 132 + thumb[1] + 18), number(low), 13, MUTED)
    write(draw, (FACTS, 132 + thumb[1] + 18), number(high), 13, MUTED, right=True)
    return part


def fact_lines(view: LayerView, field: int | None) -> list[str]:
    """A layer in four lines."""
    if not view.stride:
        return [
            f"{view.channels} units",
            "for the whole picture",
            f"mean {number(view.stats.mean)}, std {number(view.stats.std)}",
            f"{percent(view.zeros)} of units are zero",
        ]
    step = "every px" if view.stride == 1 else f"every {view.stride} px"
    looks = f", {field} px wide" if field else ""
    return [
        f"{view.channels} maps of {view.width} x {view.height}",
        f"looks {step}{looks}",
        f"mean {number(view.stats.mean)}, std {number(view.stats.std)}",
        f"{percent(view.zeros)} zeros, {percent(view.dead)} maps dead",
    ]


def _maps(view: LayerView, room: int, aspect: float) -> Image.Image:
    """The feature maps in rows, each with its channel and its greatest magnitude."""
    if not view.stride:
        return _vector(view.maps[0], room)
    columns, size = grid(len(view.maps), room, aspect)
    rows = -(-len(view.maps) // columns)
    part = paper(room, rows * (size[1] + CAPTION) + (rows - 1) * GAP)
    draw = ImageDraw.Draw(part)
    for i, plane in enumerate(view.maps):
        x = i % columns * (size[0] + GAP)
        y = i // columns * (size[1] + CAPTION + GAP)
        part.paste(map_image(plane.values, size), (x, y))
        write(draw, (x, y + size[1] + 16), f"#{plane.channel}", 13, INK)
        if size[0] >= ROOMY:
            most = number(max(plane.max, -plane.min))
            sign = "\u00b1" if plane.min < 0 else ""
            write(draw, (x + size[0], y + size[1] + 16), sign + most, 13, MUTED, right=True)
    return part


def _vector(plane: FeatureMap, room: int) -> Image.Image:
    """Channels without positions, as square cells, as large as fit, row by row."""
    values = plane.values.ravel()
    cell = next(c for c in range(24, 0, -1) if c == 1 or -(-len(values) // (room // c)) * c <= BAND)
    columns = min(room // cell, len(values))
    rows = -(-len(values) // columns)
    cells = np.full(rows * columns, np.nan, np.float32)
    cells[: len(values)] = values
    part = paper(room, rows * cell + CAPTION)
    size = (columns * cell, rows * cell)
    part.paste(map_image(cells.reshape(rows, columns), size), (0, 0))
    best = int(values.argmax())
    text = f"a cell is a unit, row by row; the greatest is #{best}, {number(plane.max)}"
    write(ImageDraw.Draw(part), (0, rows * cell + 16), text, 13, MUTED, width=room)
    return part


def grid(count: int, room: int, aspect: float) -> tuple[int, tuple[int, int]]:
    """Columns of feature maps, and the size (width, height) of each.

    Of all numbers of columns the one whose rows come nearest to :data:`BAND` px; rows that are
    not full cost a little.

    Args:
        count: How many maps.
        room: Width for all of them, px.
        aspect: Width over height of a map.
    """

    def size(columns: int) -> tuple[int, int]:
        width = min((room - (columns - 1) * GAP) // columns, WIDEST)
        return width, max(1, min(round(width / aspect), 3 * WIDEST))

    def cost(columns: int) -> float:
        rows = -(-count // columns)
        high = rows * (size(columns)[1] + CAPTION) + (rows - 1) * GAP
        return abs(math.log(high / BAND)) + RAGGED * (rows * columns - count) / columns

    possible = [c for c in range(1, count + 1) if c == 1 or size(c)[0] >= LEAST]
    columns = min(possible, key=cost)
    return columns, size(columns)


def gram_band(views: tuple[LayerView, ...]) -> Image.Image:
    """The Gram matrices, :data:`GRAMS` beside each other."""
    grams = [(view, view.gram) for view in views if view.gram is not None]
    rows = -(-len(grams) // GRAMS)
    step = (INNER - GRAM) // (GRAMS - 1)
    part = paper(INNER, 100 + rows * (GRAM + 60) - 14)
    draw = ImageDraw.Draw(part)
    draw.line([(0, 0), (INNER, 0)], fill=RULE)
    write(draw, (0, 44), "Gram matrices", 28)
    text = (
        "Which channels are active together, wherever in the picture: this is all that style "
        "transfer keeps of a painting. Strongest channels first; four decades from dark to bright."
    )
    write(draw, (0, 74), text, 16, MUTED, width=INNER)
    for i, (view, gram) in enumerate(grams):
        x, y = i % GRAMS * step, 100 + i // GRAMS * (GRAM + 60)
        part.paste(gram_image(gram, GRAM), (x, y))
        write(draw, (x, y + GRAM + 20), view.name, 16, width=GRAM - 110)
        shape = f"{view.channels} x {view.channels}"
        write(draw, (x + GRAM, y + GRAM + 20), shape, 14, MUTED, right=True)
        about = f"mean {number(float(gram.mean()))}, max {number(float(gram.max()))}"
        write(draw, (x, y + GRAM + 40), about, 14, MUTED, width=GRAM)
    return part


def closing(found: Findings) -> Image.Image:
    """How to read the colours, and what drew this."""
    signed = any(view.stats.min < 0 for view in found.views)
    plain = any(view.stats.min >= 0 for view in found.views)
    text = (
        "Each map is brightened by itself; the number at its lower right is its maximum. The maps "
        "shown are those that together explain most of what varies over the picture. Histograms "
        "leave out exact zeros, and their heights are logarithmic. The red square on the small "
        "photo is what one unit sees."
    )
    lines = wrapped(text, 14, INNER - 680)
    part = paper(INNER, 20 + max(44, 20 * len(lines)) + 8)
    draw = ImageDraw.Draw(part)
    draw.line([(0, 0), (INNER, 0)], fill=RULE)
    x = 0
    for kind, ends in ((False, ("0", "max")), (True, ("-max", "max"))):
        if signed if kind else plain:
            part.paste(legend(200, 14, signed=kind), (x, 24))
            write(draw, (x, 56), ends[0], 13, MUTED)
            write(draw, (x + 200, 56), ends[1], 13, MUTED, right=True)
            x += 232
    for i, line in enumerate(lines):
        write(draw, (480, 34 + 20 * i), line, 14, MUTED)
    write(draw, (INNER, 34), f"impasto {__version__}", 14, MUTED, right=True)
    return part


def shown_name(name: str) -> str:
    """The file's name without its folder: a sheet is shown to others."""
    nameless = name == "-" or name.startswith("<")
    return NAMELESS if nameless else PurePath(name).name or NAMELESS


def percent(share: float) -> str:
    """``"63 %"``, ``"0.4 %"``, ``"0 %"``."""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def number(value: float) -> str:
    """Three digits: ``"0.0123"``, ``"12.3"``, ``"1.2e-05"``."""
    return "0" if value == 0 else f"{value:.3g}"


def _fit(size: tuple[int, int], room: tuple[int, int]) -> tuple[int, int]:
    """``size`` (width, height) scaled into ``room``."""
    factor = min(room[0] / size[0], room[1] / size[1])
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _outline(draw: ImageDraw.ImageDraw, box: Box, size: tuple[int, int]) -> None:
    """A square on a picture, kept inside it, readable on light and dark."""
    left, top = max(box[0], 0), max(box[1], 0)
    right, bottom = min(box[2], size[0]) - 1, min(box[3], size[1]) - 1
    draw.rectangle([left, top, right, bottom], outline=INK, width=3)
    draw.rectangle([left + 1, top + 1, right - 1, bottom - 1], outline=(255, 255, 255))
