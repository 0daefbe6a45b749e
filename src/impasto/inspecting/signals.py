"""Signals in the pixels as pictures, and heat on photos."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from impasto.images.resize import resize_map
from impasto.inspecting.boxes import Box
from impasto.inspecting.colormaps import sequential
from impasto.inspecting.drawing import ACCENT, INK, MUTED, paper, photo_image, write

FloatArray = npt.NDArray[np.float32]

#: Share of a signal's values that may reach black or white.
CLIPPED = 0.005
#: How opaque the hottest place of an overlay is, and how grey a photo becomes below it.
OPAQUE, GREY = 0.72, 0.55
#: Where heat begins to be drawn, as a share of the hottest; below it is the photo.
COLD = 0.08
#: Of a panel, px: picture width, gap, line for the caption.
PANEL, GAP, LINE = 420, 20, 34


def signal_image(signal: Tensor) -> FloatArray:
    """A signal (3, H, W) as a picture (H, W, 3) in [0, 1]: grey is nothing.

    It is scaled by one number, so that colours keep their ratios, to the greatest magnitude but
    for :data:`CLIPPED` of what is not exactly nothing.
    """
    values = np.asarray(signal.detach().float().cpu().permute(1, 2, 0).numpy())
    size = np.abs(values)
    most = float(np.quantile(size[size > 0], 1 - CLIPPED)) if size.any() else 0.0
    scale = most if most > 0 and np.isfinite(most) else 1.0
    picture: FloatArray = np.clip(0.5 + values / (2 * scale), 0, 1).astype(np.float32)
    return picture


def heat_of(cam: Tensor, size: tuple[int, int]) -> FloatArray:
    """A map (h, w) that is not negative, enlarged to ``size`` and divided by its maximum."""
    large = resize_map(cam.detach().float().cpu()[None, None], size)[0, 0]
    most = float(large.max())
    shares: FloatArray = (large / most if most > 0 else torch.zeros_like(large)).numpy()
    return shares


def overlay(photo: FloatArray, heat: FloatArray) -> FloatArray:
    """Heat (H, W) in [0, 1] laid on a photo (H, W, 3): what is cold stays, a little greyer."""
    luma = photo @ np.array([0.299, 0.587, 0.114], np.float32)
    base = photo + GREY * (luma[..., None] - photo)
    share = np.clip((heat - COLD) / (1 - COLD), 0, 1)
    table = sequential()
    # The dark third of the colours would hide the photo where there is little to say.
    index = (len(table) * (0.35 + 0.6 * share)).astype(np.intp)
    opacity = (OPAQUE * np.sqrt(share))[..., None]
    mixed: FloatArray = (base * (1 - opacity) + table[index] * opacity).astype(np.float32)
    return mixed


def framed(photo: FloatArray, box: Box) -> FloatArray:
    """A photo (H, W, 3) with a frame around ``box``, readable on light and dark."""
    image = Image.fromarray((np.clip(photo, 0, 1) * 255 + 0.5).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    frame = (box.left, box.top, box.right - 1, box.bottom - 1)
    wide = max(2, round(max(photo.shape[:2]) / 160))
    draw.rectangle(frame, outline=ACCENT, width=wide)
    return np.asarray(image, np.float32) / np.float32(255)


def panel(parts: list[tuple[str, str, FloatArray]], title: str) -> Image.Image:
    """Pictures of one size side by side, three to a row.

    Args:
        parts: Name, a few words, and the picture (H, W, 3) of each.
        title: A line above.
    """
    columns = min(3, len(parts))
    rows = -(-len(parts) // columns)
    height, width = parts[0][2].shape[:2]
    cell = (PANEL, max(1, round(PANEL * height / width)))
    step = cell[1] + LINE + GAP
    sheet = paper(columns * PANEL + (columns + 1) * GAP, 64 + rows * step + GAP // 2)
    draw = ImageDraw.Draw(sheet)
    write(draw, (GAP, 44), title, 26, width=sheet.width - 2 * GAP)
    for i, (name, about, image) in enumerate(parts):
        x, y = GAP + i % columns * (PANEL + GAP), 64 + i // columns * step
        sheet.paste(photo_image(image, cell), (x, y))
        write(draw, (x, y + cell[1] + 22), name, 17, INK)
        write(draw, (x + PANEL, y + cell[1] + 22), about, 14, MUTED, right=True, width=PANEL - 140)
    return sheet
