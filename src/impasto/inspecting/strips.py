"""The units of layers and their photos as one tall picture: a row per unit."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from impasto.inspecting.drawing import (
    ACCENT,
    INK,
    MUTED,
    RULE,
    fitted,
    paper,
    stacked,
    width_of,
    write,
)
from impasto.inspecting.findings import LayerFindings, UnitFindings
from impasto.inspecting.photos import BEST
from impasto.inspecting.sheet import number, percent, shown_name
from impasto.inspecting.tiles import TINY, Tile, decoded

#: Edge of a crop, gap, margin and width of the column of names, px.
EDGE, GAP, MARGIN, NAMES = 118, 8, 48, 150
#: Space between the inspected picture's crop and the photos.
APART = 28
WIDTH = 2 * MARGIN + NAMES + EDGE + APART + BEST * (EDGE + GAP) - GAP
#: Units of a layer that are drawn; the pages show all.
MOST = 32


def draw_strips(layers: Sequence[LayerFindings]) -> Image.Image:
    """A part per layer, shallow to deep."""
    return stacked([_layer(found) for found in layers], 0)


def _layer(found: LayerFindings) -> Image.Image:
    units = found.units[:MOST]
    step = EDGE + 26
    part = paper(WIDTH, MARGIN + 96 + len(units) * step + MARGIN // 2)
    draw = ImageDraw.Draw(part)
    title = f"{found.layer} of {found.backbone}"
    write(draw, (MARGIN, MARGIN + 26), title, 34, width=WIDTH - 2 * MARGIN)
    sees = f"a unit sees {found.field} px" if found.field else "a unit sees the whole picture"
    about = f"{sees} of {found.size}; the {BEST} of {found.photos} photos that excite it most"
    left = len(found.units) - len(units)
    about += f"; {left} more units are not drawn" if left else ""
    write(draw, (MARGIN, MARGIN + 54), about, 16, MUTED, width=WIDTH - 2 * MARGIN)
    name = fitted(shown_name(found.picture), 14, EDGE)
    x = MARGIN + NAMES + (EDGE - width_of(name, 14)) // 2
    write(draw, (max(x, MARGIN + NAMES), MARGIN + 84), name, 14, ACCENT)
    for i, unit in enumerate(units):
        _row(part, draw, unit, MARGIN + 96 + i * step)
    return part


def _row(part: Image.Image, draw: ImageDraw.ImageDraw, unit: UnitFindings, y: int) -> None:
    write(draw, (MARGIN, y + 26), f"#{unit.channel}", 24)
    write(draw, (MARGIN, y + 52), f"max {number(unit.maximum)}", 14, MUTED)
    write(draw, (MARGIN, y + 72), f"in {percent(unit.firing)}", 14, MUTED)
    own = MARGIN + NAMES
    if unit.own is not None:
        _tile(part, draw, unit.own, own, y)
    else:
        draw.rectangle((own, y, own + EDGE - 1, y + EDGE - 1), outline=RULE)
        write(draw, (own + 12, y + EDGE // 2 + 5), "silent", 14, MUTED)
    for i, tile in enumerate(unit.best):
        _tile(part, draw, tile, own + EDGE + APART + i * (EDGE + GAP), y)


def _tile(part: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, x: int, y: int) -> None:
    image = decoded(tile.crop)
    factor = EDGE / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    tiny = max(image.size) <= TINY
    filter = Image.Resampling.NEAREST if tiny else Image.Resampling.LANCZOS
    part.paste(image.resize(size, filter), (x + (EDGE - size[0]) // 2, y + (EDGE - size[1]) // 2))
    write(draw, (x + EDGE, y + EDGE + 15), number(tile.value), 12, INK, right=True)
